import { describeConformance } from "../src/index.ts";
import { feedAdapter } from "./broken/journal.ts";

// What the broken feeds are made of is whole.
describeConformance({ name: "reference with a journal", ...feedAdapter(), groups: ["changes"] });
