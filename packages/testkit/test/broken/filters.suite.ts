import { brokenFilters } from "./filters.ts";
import { describeBroken } from "./suite.ts";

describeBroken(brokenFilters, ["filtering", "sorting"]);
