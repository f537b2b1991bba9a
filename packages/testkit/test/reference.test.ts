import { describeGroups, GROUPS } from "../src/conformance.ts";
import { describeConformance, referenceAdapter } from "../src/index.ts";
import { networkAdapter } from "./broken/network.ts";
import { rawLaneOf } from "./broken/raw.ts";
import { sabotaged } from "./broken/sabotage.ts";

describeConformance({ name: "reference", ...referenceAdapter() });

describeConformance({ name: "reference behind a server", ...networkAdapter(), pair: referenceAdapter() });

describeGroups({ name: "reference with a raw lane", ...sabotaged(referenceAdapter(), rawLaneOf) }, [GROUPS.rawLane]);
