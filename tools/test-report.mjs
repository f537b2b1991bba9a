// vitest's JSON reports: how one is read, and several become one.
import { readFileSync } from "node:fs";

/** A report, or an empty one when vitest did not get so far: then it has failed by its exit code. */
export function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, testResults: [] };
  }
}

/** What is told of several runs together. */
export function joinReports(reports) {
  const sum = (name) => reports.reduce((total, report) => total + report[name], 0);
  return {
    numPassedTests: sum("numPassedTests"),
    numFailedTests: sum("numFailedTests"),
    numPendingTests: sum("numPendingTests"),
    testResults: reports.flatMap(({ testResults }) => testResults),
  };
}
