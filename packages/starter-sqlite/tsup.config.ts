import { packageBuild } from "../../tsup.base.ts";

export default packageBuild(["src/index.ts", "src/register.ts", "src/writer-thread.ts", "src/reader-process.ts"]);
