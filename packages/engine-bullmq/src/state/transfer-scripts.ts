import { Script } from "./script.ts";
import create from "./scripts/create.lua";
import enterPlan from "./scripts/enter-plan.lua";
import sayIdle from "./scripts/say-idle.lua";
import spend from "./scripts/spend.lua";
import step from "./scripts/step.lua";
import takeSlots from "./scripts/take-slots.lua";

/** Enters a transfer under its id, unless there is one. */
export const CREATE = new Script<number>(create);

/** Enters the plan of a transfer, unless there is one: of two workers that planned at once, the first one's holds. */
export const ENTER_PLAN = new Script<number>(enterPlan);

/** Takes a step from one of some states to another. */
export const STEP = new Script<string | null>(step);

/** Takes a place at both endpoints, or renews it. A place that is not renewed in time is free again. */
export const TAKE_SLOTS = new Script<string | null>(takeSlots);

/** Spends a number of records of an endpoint's rate. */
export const SPEND = new Script<number>(spend);

/** Says that a worker is idle. */
export const SAY_IDLE = new Script<number>(sayIdle);
