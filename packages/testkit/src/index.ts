export { idArbitrary, recordArbitrary, recordsArbitrary, type ValueLimits, valueArbitrary } from "./arbitraries.ts";
export { AWKWARD_FIELDS, OPERATOR_TEXTS } from "./awkward-texts.ts";
export { assertSameRecords, type CompareOptions, describeValue } from "./compare.ts";
export { type ConformanceOptions, describeConformance } from "./conformance.ts";
export { FEATURES, type Feature, type Lack } from "./lacks.ts";
export { optionRows, tableRows } from "./readme-tables.ts";
export { type AdapterUnderTest, type ConformancePlace, referenceAdapter } from "./reference.ts";
export { everyValueType, sampleRecords } from "./sample-records.ts";
export { SAMPLE_VALUES, VALUE_TYPES } from "./samples.ts";
