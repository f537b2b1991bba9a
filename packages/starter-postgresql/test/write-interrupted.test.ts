import { type P2PRecord, TaggedValue } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { calm, readAll, rejection, Scratch, write } from "./support.ts";

describeWithService("postgresql", "writes under way", ({ url }) => {
  const scratch = new Scratch(url, "interrupted");

  it("fails a batch as one that may be tried again when the server ends the session", async () => {
    const schema = await scratch.schema();
    const service = await schema.open("docs", { application_name: "p2p_cut" }, "target");
    await write(service, [{ id: "first", text: "" }]);
    const records = Array.from({ length: 20_000 }, (_, n) => ({ id: `r${n}`, text: "x".repeat(800) }));
    let isOver = false;
    const writing = rejection(write(service, records)).finally(() => {
      isOver = true;
    });
    const cut =
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'p2p_cut' AND state = 'active' AND query LIKE '%COPY%'";
    let cuts = 0;
    while (!isOver && cuts === 0) cuts = (await schema.sql(cut)).length;
    expect(cuts).toBe(1);
    expect(await writing).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    expect(await schema.sql("SELECT count(*) FROM docs")).toEqual([["1"]]);
    expect(await write(service, records)).toMatchObject({ written: 20_000, failures: [] });
  });

  it("lets writers of the same records in other orders wait for each other", async () => {
    const schema = await scratch.schema("CREATE TABLE others (id int PRIMARY KEY, n int)");
    for (const table of ["docs", "others"]) {
      const services = await Promise.all([1, 2, 3, 4].map(() => schema.open(table, {}, "target")));
      for (let round = 0; round < 3; round++) {
        const records = Array.from({ length: 500 }, (_, n) => ({ id: n, n: round }));
        const results = await Promise.all(
          services.map((service, at) => write(service, at % 2 ? records : [...records].reverse())),
        );
        for (const result of results) expect(result).toMatchObject({ written: 500, failures: [] });
      }
      expect(await schema.sql(`SELECT count(*), sum(n) FROM ${table}`)).toEqual([["500", "1000"]]);
    }
  });

  it("gives back every kind of value, copied and replaced", async () => {
    const schema = await scratch.schema();
    const odd: P2PRecord[] = [
      { id: "big", big: 10n ** 40n, n: Number.NaN, d: new Date(-8.64e15), t: "\0", o: { a: "\0", b: [1n] } },
      { id: "small", big: -1n, n: -0, d: new Date(8.64e15), t: "ü€😀\\\t\n", o: [] },
      { id: "round", big: 120_000_000n, n: Number.NEGATIVE_INFINITY, d: new Date(-1), t: "", o: {} },
      { id: "zero", big: 0n, n: 5e-324, d: new Date(946_684_799_999), t: "x", o: { "": null } },
      { id: "negative", big: -(10n ** 16n), n: 1.7976931348623157e308, d: new Date(253402300800000), t: "y", o: [[]] },
      { id: "mixed", big: 5, n: 6n, d: "text", t: 7, o: true, b: "no bytes", flag: 1 },
      { id: "tagged", big: new TaggedValue("postgresql:numeric", "1.50"), n: null, t: null, b: null },
    ];
    const plain = Array.from({ length: 60 }, (_, n) => ({
      ...{ id: `p${n}`, big: BigInt(n), n, d: new Date(n * 1e9), t: `${n}`, o: { n } },
      ...{ b: new Uint8Array([n, 0, 255]), flag: n % 2 === 0 },
    }));
    const service = await schema.open("docs", {}, "target");
    const expected = [...odd, ...plain].sort((one, other) => (String(one.id) < String(other.id) ? -1 : 1));
    await write(
      service,
      plain.map(({ id, ...rest }) => ({ id: `_${id}`, ...rest })),
    );
    const source = await schema.open("docs");
    await service.deleteFromTarget!(
      plain.map(({ id }) => ({ id: `_${id}` })),
      { signal: calm },
    );
    for (let round = 0; round < 6; round++) {
      expect(await write(service, [...odd, ...plain])).toMatchObject({ written: 67, failures: [] });
      expect(await readAll(source)).toEqual(expected);
      // Alone, without COPY.
      if (round === 4) for (const record of odd) await write(service, [record]);
    }
  });
});
