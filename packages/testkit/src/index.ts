export { idArbitrary, recordArbitrary, recordsArbitrary, type ValueLimits, valueArbitrary } from "./arbitraries.ts";
export { assertSameRecords, type CompareOptions, describeValue } from "./compare.ts";
export { type ConformanceOptions, describeConformance } from "./conformance.ts";
export type { Feature, Lack } from "./lacks.ts";
export { type AdapterUnderTest, type ConformancePlace, referenceAdapter } from "./reference.ts";
export { AWKWARD_FIELDS, OPERATOR_TEXTS, SAMPLE_VALUES, sampleRecords, VALUE_TYPES } from "./samples.ts";
