import { describe, expect, it } from "vitest";
import { hostText, parseHosts } from "../../src/starter.ts";

describe("parseHosts", () => {
  it.each([
    ["h1", [{ host: "h1", port: 7 }]],
    [
      "h1:1,h2",
      [
        { host: "h1", port: 1 },
        { host: "h2", port: 7 },
      ],
    ],
    [
      " h1 , h2:65535 ",
      [
        { host: "h1", port: 7 },
        { host: "h2", port: 65_535 },
      ],
    ],
    [
      "[::1]:2,[fe80::1%eth0]",
      [
        { host: "::1", port: 2 },
        { host: "fe80::1%eth0", port: 7 },
      ],
    ],
    ["127.0.0.1:5", [{ host: "127.0.0.1", port: 5 }]],
    ["bücher.example", [{ host: "bücher.example", port: 7 }]],
  ])("takes %j apart", (text, hosts) => {
    expect(parseHosts(text, 7)).toEqual(hosts);
    expect(parseHosts(hosts.map(hostText).join(","), 9)).toEqual(hosts);
  });

  it.each([
    "",
    ",",
    "h1,",
    "h1:",
    "h1:0",
    "h1:65536",
    "h1:99999999",
    "h1:x",
    "::1",
    "[::1",
    "user@h1",
    "h1/a",
    "h1 h2",
    "[h1]",
  ])("knows that %j is no list of hosts", (text) => {
    expect(parseHosts(text, 7)).toBeUndefined();
  });

  it("takes no time over a text that is far too long", () => {
    const from = performance.now();
    for (const text of ["a".repeat(1e6), "[".repeat(1e6), "a,".repeat(1e6), " ".repeat(1e6), ":".repeat(1e6)])
      expect(parseHosts(text, 7)).toBeUndefined();
    expect(performance.now() - from).toBeLessThan(1000);
  });
});
