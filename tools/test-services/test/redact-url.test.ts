import { expect, it } from "vitest";
import { hostOf, redactUrl } from "../src/redact-url.ts";

it.each([
  ["redis://127.0.0.1:6379", "redis://127.0.0.1:6379", "127.0.0.1:6379"],
  ["redis://:s3cret@127.0.0.1:6379/2", "redis://***@127.0.0.1:6379/2", "127.0.0.1:6379"],
  ["mongodb://u:s3cret@a:1,b:2/db?authSource=s3cret", "mongodb://***@a:1,b:2/db", "a:1,b:2"],
  ["mongodb://u:s3c@ret@a:1/db", "mongodb://***@a:1/db", "a:1"],
  ["https://u:s3cret@[::1]:9200#s3cret", "https://***@[::1]:9200", "[::1]:9200"],
  ["u:s3cret@somewhere:1/x?s3cret", "***@somewhere:1/x", "somewhere:1"],
])("hides the credentials of %s", (url, redacted, host) => {
  expect(redactUrl(url)).toBe(redacted);
  expect(hostOf(url)).toBe(host);
});
