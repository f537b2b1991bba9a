import { describeBroken } from "./suite.ts";
import { brokenVouching } from "./verifying.ts";

describeBroken(brokenVouching, ["verifying"]);
