import { brokenDeletes } from "./deletes.ts";
import { describeBroken } from "./suite.ts";

describeBroken(brokenDeletes, ["deletes"]);
