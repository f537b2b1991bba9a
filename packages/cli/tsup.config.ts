import { packageBuild } from "../../tsup.base.ts";

// Commander goes into the bundle: found file by file, it takes longer to load than all the rest of `--help`.
export default packageBuild(["src/index.ts", "src/bin.ts", "src/work.ts", "src/worker-parts.ts"], {
  noExternal: ["commander"],
});
