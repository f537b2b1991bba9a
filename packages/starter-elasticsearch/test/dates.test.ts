import { describe, expect, test } from "vitest";
import {
  DEFAULT_FORMAT,
  looksLikeDate,
  parseFormat,
  readDateNumber,
  readDateText,
  writeDate,
} from "../src/mapping/dates.ts";

describe("date fields", () => {
  test("text that Elasticsearch reads as a date by default is one", () => {
    const texts = {
      "2024-02-29T12:30:45.678Z": Date.UTC(2024, 1, 29, 12, 30, 45, 678),
      "2024-02-29T12:30:45.6Z": Date.UTC(2024, 1, 29, 12, 30, 45, 600),
      "2024-02-29T12:30:45+02:00": Date.UTC(2024, 1, 29, 10, 30, 45),
      "2024-02-29T12:30:45-0130": Date.UTC(2024, 1, 29, 14, 0, 45),
      "2024-02-29T12:30": Date.UTC(2024, 1, 29, 12, 30),
      "2024-02-29": Date.UTC(2024, 1, 29),
      "0000-01-01T00:00:00.000Z": -62_167_219_200_000,
      "2024-02-29T12:30:45.678000Z": Date.UTC(2024, 1, 29, 12, 30, 45, 678),
    };
    for (const [text, time] of Object.entries(texts)) {
      expect(readDateText(text, DEFAULT_FORMAT)?.getTime(), text).toBe(time);
      expect(looksLikeDate(text), text).toBe(true);
    }
  });

  test("text that a Date cannot hold, or that is none, stays text", () => {
    for (const text of [
      "2024-02-29T12:30:45.678901Z",
      "2024-13-01",
      "2024",
      "yesterday",
      "2024-02-30",
      "2023-02-29",
      "1900-02-29",
      "2024-06-31T00:00:00Z",
      "2024-06-31T00:00:00.000Z",
      "2024-00-10",
      "2024-01-00",
      "2024-02-29T24:00:00Z",
      "2024-02-29T24:00:00.000Z",
      "2024-02-29T24:00",
      "2024-02-29T23:60:00Z",
      "29/02/2024",
      "",
      "x".repeat(24),
    ]) {
      expect(readDateText(text, DEFAULT_FORMAT), text).toBeUndefined();
    }
  });

  test("a format of others is heeded, and one that only the server knows leaves text alone", () => {
    expect(readDateText("2024-02-29", parseFormat("yyyy-MM-dd"))?.getTime()).toBe(Date.UTC(2024, 1, 29));
    expect(readDateText("2024-02-29T00:00:00.000Z", parseFormat("yyyy-MM-dd"))).toBeUndefined();
    expect(readDateText("2024-02-29", parseFormat("dd/MM/yyyy"))).toBeUndefined();
    expect(readDateNumber(5, parseFormat("epoch_second"))?.getTime()).toBe(5000);
    expect(readDateNumber(5, parseFormat("yyyy-MM-dd"))).toBeUndefined();
    expect(readDateNumber(5.5, DEFAULT_FORMAT)).toBeUndefined();
  });

  test("what is written for a format is read back from it", () => {
    const day = new Date(Date.UTC(2024, 1, 29));
    for (const format of [
      undefined,
      "yyyy-MM-dd",
      "epoch_millis",
      "epoch_second",
      "date_time",
      "strict_date||epoch_millis",
    ]) {
      const parsed = parseFormat(format);
      const written = writeDate(day, parsed);
      const back = typeof written === "string" ? readDateText(written, parsed) : readDateNumber(written, parsed);
      expect(back?.getTime(), `${format} as ${written}`).toBe(day.getTime());
    }
    expect(writeDate(new Date(8.64e15), DEFAULT_FORMAT)).toBe(8.64e15);
  });
});
