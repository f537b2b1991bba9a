import { packageBuild } from "../../tsup.base.ts";

export default packageBuild({
  index: "src/index.ts",
  starter: "src/starter.ts",
  engine: "src/engine.ts",
  "digest-thread": "src/transfer/verify/digest-thread.ts",
});
