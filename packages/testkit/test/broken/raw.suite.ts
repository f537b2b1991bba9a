import { brokenRawLanes } from "./raw.ts";
import { describeBroken } from "./suite.ts";

describeBroken(brokenRawLanes, ["rawLane"]);
