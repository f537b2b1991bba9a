// By its path: the watch depends on this package, which therefore cannot depend on the watch.
import { failOnLeaks } from "../../../../tools/secrecy-watch/src/fail-on-leaks.ts";
import * as core from "../../src/index.ts";

failOnLeaks(core);
