import { brokenLookUps } from "./lookups.ts";
import { describeBroken } from "./suite.ts";

describeBroken(brokenLookUps, ["contract", "lookUps"]);
