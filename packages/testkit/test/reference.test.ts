import { describeConformance, referenceAdapter } from "../src/index.ts";
import { networkAdapter } from "./broken/network.ts";

describeConformance({ name: "reference", ...referenceAdapter() });

describeConformance({ name: "reference behind a server", ...networkAdapter(), pair: referenceAdapter() });
