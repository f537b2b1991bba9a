import { expect, test } from "vitest";
import { Lacks } from "../src/lacks.ts";

test("a check is not run when what it needs, or the check itself, is lacking", () => {
  const lacks = new Lacks([
    { what: "sorting", reason: "keys have no order" },
    { what: "ping answers", reason: "it has no server" },
  ]);
  expect(lacks.reasonFor("orderBy on the id", ["sorting"])).toBe("sorting: keys have no order");
  expect(lacks.reasonFor("ping answers", [])).toBe("ping answers: it has no server");
  expect(lacks.reasonFor("the order is stable", ["long ids"])).toBeUndefined();
  expect(() => lacks.assertAllUsed([])).not.toThrow();
});

test("a lack that names nothing is an error that lists the checks", () => {
  const lacks = new Lacks([{ what: "sortign", reason: "a slip" }]);
  lacks.reasonFor("orderBy on the id", ["sorting"]);
  expect(() => lacks.assertAllUsed(["orderBy on the id"])).toThrow(/"sortign".*\n\s+orderBy on the id/);
});
