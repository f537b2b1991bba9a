import { describeConformance, referenceAdapter } from "../src/index.ts";

describeConformance({ name: "reference", ...referenceAdapter() });
