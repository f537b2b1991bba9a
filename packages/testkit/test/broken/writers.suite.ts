import { describeBroken } from "./suite.ts";
import { brokenWriters } from "./writers.ts";

describeBroken(brokenWriters, ["writing", "roundTrip", "ids", "transfers"]);
