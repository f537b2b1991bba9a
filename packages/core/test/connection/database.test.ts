import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mapNames, parseRenames } from "../../src/connection/database/names.ts";
import { orderByReferences } from "../../src/connection/database/order.ts";
import { selectCollections } from "../../src/connection/database/select.ts";
import { parseEndpoint } from "../../src/index.ts";
import type { CollectionCatalogue, ListedCollection } from "../../src/starter.ts";

const table = (name: string, more: Partial<ListedCollection> = {}): ListedCollection => ({
  name,
  kind: "table",
  ...more,
});

describe("the selection of collections", () => {
  const all = [
    table("artist"),
    table("album"),
    table("a*"),
    table("v", { kind: "view" }),
    table("log", { namespace: "audit" }),
    table("docs", { namespace: "public", visible: true }),
  ];
  const names = (selection: Parameters<typeof selectCollections>[1]) =>
    selectCollections({ collections: all }, selection, "db").chosen.map(({ name }) => name);

  it("takes all but views, and a view that is named", () => {
    expect(names({})).toEqual(["artist", "album", "a*", "log", "docs"]);
    expect(names({ collections: ["v"] })).toEqual(["v"]);
    expect(names({ collections: ["*"] })).not.toContain("v");
    expect(selectCollections({ collections: all }, {}, "db").notes).toEqual([
      "A view is left out, since nobody named it: v",
    ]);
  });

  it("goes by patterns, with and without a namespace", () => {
    expect(names({ collections: ["a*"] })).toEqual(["artist", "album", "a*", "log"]);
    expect(names({ collections: ["a\\*"] })).toEqual(["a*"]);
    expect(names({ collections: ["al?um", "public.*"] })).toEqual(["album", "docs"]);
    expect(names({ exclude: ["al*", "docs"] })).toEqual(["artist", "a*", "log"]);
  });

  it("refuses a name that is not there, with the nearest, and a choice of nothing", () => {
    expect(() => names({ collections: ["artits"] })).toThrow(/no "artits" in db.*artist/);
    expect(() => names({ exclude: ["*"] })).toThrow(/Nothing in db is left/);
    expect(() => selectCollections({ collections: [] }, {}, "db")).toThrow(/There is nothing in db/);
    const incomplete = { collections: all, incomplete: "there are too many" };
    expect(() => selectCollections(incomplete, {}, "db")).toThrow(/Not all of db can be listed: there are too many/);
    expect(selectCollections(incomplete, { collections: ["album"] }, "db").chosen).toHaveLength(1);
  });

  it("finds what a pattern of regular expressions finds, whatever stands in the names", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), (name, end) => {
        const escaped = name.replace(/[*?\\]/g, "\\$&");
        const collections = [table(name), table(`${name}${end}!`)];
        const chosen = (pattern: string) =>
          selectCollections({ collections }, { collections: [pattern] }, "db").chosen.map((one) => one.name);
        expect(chosen(escaped)).toEqual([name]);
        expect(chosen(`${escaped}*`)).toEqual([name, `${name}${end}!`]);
      }),
    );
  });
});

describe("the names in the target", () => {
  const catalogue: CollectionCatalogue = {
    list: async () => ({ collections: [] }),
    endpointOf: (endpoint, { namespace, name }) => {
      if (name === "bad") throw new Error("Invalid endpoint t:x: no table can be called bad");
      return { ...endpoint, metadata: { table: namespace === undefined ? name : `${namespace}.${name}` } };
    },
    nameForm: (name) => name.toLowerCase(),
  };
  const target = parseEndpoint("t:x");
  const becomes = (collections: readonly ListedCollection[], ...rules: string[]) =>
    mapNames(collections, parseRenames(rules), catalogue, target).map(({ targetName }) => targetName);

  it("are those of the source, or what the first rule that fits makes of them", () => {
    const docs = table("docs", { namespace: "public", visible: true });
    const log = table("log", { namespace: "audit", visible: false });
    expect(becomes([docs, log])).toEqual(["docs", "audit.log"]);
    expect(becomes([docs, log], "public.(.*)=old_$1", "(.*).log=logs")).toEqual(["old_docs", "logs"]);
    expect(becomes([docs], "docs=x=y")).toEqual(["docs"]);
    expect(becomes([table("a=b")], "a=b=c")).toEqual(["c"]);
    expect(becomes([docs], 'docs="a.b"')).toEqual(["a.b"]);
    expect(becomes([docs], "docs=other.papers")).toEqual(["other.papers"]);
  });

  it("are refused where two become one, by a rule or by the case of letters", () => {
    expect(() => becomes([table("a"), table("b")], "a|b=c")).toThrow(/"a" and "b" would both become "c" in t:x/);
    expect(() => becomes([table("Users"), table("users")])).toThrow(/"Users" and "users".*case of letters.*--rename/);
  });

  it("are refused where two lead to one place, whatever they are called", () => {
    const flat: CollectionCatalogue = {
      ...catalogue,
      endpointOf: (endpoint, { name }) => ({ ...endpoint, metadata: { table: name } }),
    };
    const docs = table("docs", { namespace: "public", visible: true });
    for (const name of ["docs", "Docs"]) {
      const audit = table(name, { namespace: "audit", visible: false });
      expect(() => mapNames([docs, audit], [], flat, target)).toThrow(
        new RegExp(`"docs" and "audit.${name}" would be written into one and the same collection of t:x.*--rename`),
      );
    }
    expect(mapNames([docs, table("log", { namespace: "audit" })], [], flat, target)).toHaveLength(2);
  });

  it("are refused where the target cannot have them, and where a rule is none", () => {
    expect(() => becomes([table("bad")])).toThrow(
      /"bad" cannot go to t:x.*no table can be called bad; give it another/,
    );
    expect(() => parseRenames(["nothing"])).toThrow(/must be <regular expression>=<replacement>/);
    expect(() => parseRenames(["(=x"])).toThrow(/no valid regular expression/);
  });
});

describe("the order of collections", () => {
  const ordered = (references: Record<string, string[]>) =>
    orderByReferences(
      Object.keys(references),
      new Map(Object.entries(references).map(([name, to]) => [name, new Set(to)])),
    );

  it("has first what others refer to, and names circles", () => {
    expect(ordered({ line: ["order", "item"], order: ["customer"], customer: [], item: [] }).names).toEqual([
      "customer",
      "order",
      "item",
      "line",
    ]);
    const { circles } = ordered({ a: ["b"], b: ["c"], c: ["a"], d: ["d", "a"], e: ["nobody"] });
    expect(circles.map((circle) => circle.toSorted())).toEqual([["a", "b", "c"], ["d"]]);
  });

  it("keeps every reference that is in no circle", () => {
    const edges = fc.array(fc.tuple(fc.nat(12), fc.nat(12)), { maxLength: 40 });
    fc.assert(
      fc.property(edges, (pairs) => {
        const references: Record<string, string[]> = Object.fromEntries(
          Array.from({ length: 13 }, (_, n) => [
            `t${n}`,
            pairs.filter(([from]) => from === n).map(([, to]) => `t${to}`),
          ]),
        );
        const { names, circles } = ordered(references);
        expect(names.toSorted()).toEqual(Object.keys(references).toSorted());
        const circleOf = (name: string) => circles.findIndex((circle) => circle.includes(name));
        for (const [from, tos] of Object.entries(references)) {
          for (const to of tos) {
            const inCircle = circleOf(from) >= 0 && circleOf(from) === circleOf(to);
            if (!inCircle) expect(names.indexOf(to)).toBeLessThan(names.indexOf(from));
          }
        }
      }),
    );
  });

  it("does not go down a stack of its own for long chains", () => {
    const long = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`t${n}`, [`t${n + 1}`]]));
    expect(ordered(long).names[0]).toBe("t19999");
  });
});
