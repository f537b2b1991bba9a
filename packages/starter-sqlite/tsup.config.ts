import { packageBuild } from "../../tsup.base.ts";

export default packageBuild({
  index: "src/index.ts",
  register: "src/register.ts",
  "writer-thread": "src/writing/writer-thread.ts",
  "reader-process": "src/reading/reader-process.ts",
});
