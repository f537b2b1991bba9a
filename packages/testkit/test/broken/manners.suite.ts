import { brokenManners } from "./manners.ts";
import { describeBroken } from "./suite.ts";

describeBroken(brokenManners, ["contract", "connecting", "reading", "identity", "aborting", "inspecting"]);
