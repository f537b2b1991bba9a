import { describe } from "vitest";
import { brokenFeeds } from "./changes.ts";
import { describeBroken } from "./suite.ts";

// Side by side, since what a broken feed fails, it fails by waiting.
describe.concurrent("feeds", () => describeBroken(brokenFeeds, ["changes"]));
