// For vitest's `setupFiles`: a test during which a planted password left the library fails, whatever it was about.
import * as core from "@omni/p2p-core";
import { failOnLeaks } from "./fail-on-leaks.ts";

failOnLeaks(core);
