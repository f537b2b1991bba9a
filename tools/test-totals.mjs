// Prints `N passed, N failed` from vitest's JSON report; fails when a test failed or none ran.
import { readReport } from "./test-report.mjs";

const report = readReport(process.argv[2]);
// A file that could not even be collected has no failed test of its own.
const brokenFiles = report.testResults.filter(
  (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
);
const failed = report.numFailedTests + brokenFiles.length;
const skipped = report.numPendingTests > 0 ? `, ${report.numPendingTests} skipped` : "";
console.log(`${report.numPassedTests} passed, ${failed} failed${skipped}`);
process.exit(failed > 0 || report.numPassedTests === 0 ? 1 : 0);
