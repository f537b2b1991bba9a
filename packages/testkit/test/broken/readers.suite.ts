import { brokenReaders } from "./readers.ts";
import { describeBroken } from "./suite.ts";

describeBroken(brokenReaders, ["contract", "reading", "resuming", "partitions"]);
