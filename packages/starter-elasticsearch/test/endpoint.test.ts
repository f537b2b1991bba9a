import { isP2PError, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, test } from "vitest";
import { indexOf, parseElasticsearchEndpoint } from "../src/endpoint.ts";

const place = (url: string) => parseElasticsearchEndpoint(parseEndpoint(url));

/** The error that something throws. */
function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("endpoints", () => {
  test("a URL says the nodes, the protocol and the index", () => {
    expect(place("elasticsearch://localhost/docs")).toMatchObject({ nodes: ["http://localhost:9200"], index: "docs" });
    expect(place("elasticsearch+https://es.example:9243/docs").nodes).toEqual(["https://es.example:9243"]);
    expect(place("elasticsearch://a:9200,b:9201,[::1]:9202/docs").nodes).toEqual([
      "http://a:9200",
      "http://b:9201",
      "http://[::1]:9202",
    ]);
    expect(place("elasticsearch:docs").nodes).toEqual(["http://localhost:9200"]);
    expect(place("elasticsearch+https://es.example:443/docs").nodes).toEqual(["https://es.example"]);
  });

  test("contradictions are refused, and secrets are not repeated", () => {
    const wrong = [
      "elasticsearch://user:s3cret-pass@localhost/docs?apiKey=s3cret-key",
      "elasticsearch://localhost/docs?apiKey=s3cret-key&bearer=s3cret-token",
      "elasticsearch://user@localhost/docs",
      "elasticsearch://localhost/docs?cloudId=x",
      "elasticsearch+ftp://localhost/docs",
      "elasticsearch+https://localhost/docs?certFile=a.pem",
      "elasticsearch://localhost/docs?caFingerprint=aa",
      "elasticsearch://localhost/docs?refresh=sometimes",
      "elasticsearch://localhost,b%2Fc/docs",
    ];
    for (const url of wrong) {
      const error = thrown(() => place(url));
      expect(isP2PError(error, "INVALID_ENDPOINT"), url).toBe(true);
      expect((error as Error).message).not.toContain("s3cret");
    }
  });

  test("an index that cannot be is refused before anything is sent", () => {
    for (const name of [
      "",
      "Docs",
      "_docs",
      "-docs",
      "a b",
      "a%2Fb",
      "a%23b",
      ".",
      "..",
      "a,b",
      "a*",
      "%C3%A9".repeat(128),
    ]) {
      const error = thrown(() => indexOf(place(`elasticsearch://localhost/${name}`), "target"));
      expect(isP2PError(error, "INVALID_ENDPOINT"), name).toBe(true);
    }
    expect(indexOf(place("elasticsearch://localhost/logs-*"), "source")).toBe("logs-*");
    expect(indexOf(place("elasticsearch://localhost/.hidden_1"), "target")).toBe(".hidden_1");
  });
});
