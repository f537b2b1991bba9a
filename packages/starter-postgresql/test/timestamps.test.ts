import { expect, it } from "vitest";
import { dateOfServerText } from "../src/values/timestamps.ts";

it("knows the day of every month, leap years and centuries among them", () => {
  for (let ms = -5.9e13; ms < 2.5e14; ms += 86_400_123 * 137.77) {
    const date = new Date(Math.floor(ms));
    const [day, second] = [date.toISOString().slice(0, 10), date.toISOString().slice(11, 19)];
    const fraction = (date.getUTCMilliseconds() / 1000)
      .toFixed(3)
      .slice(1)
      .replace(/\.?0+$/, "");
    expect(dateOfServerText(`${day} ${second}${fraction}+00`)).toEqual(date);
  }
  for (const text of ["2000-02-29", "1900-03-01", "2100-02-28", "0400-02-29", "0100-03-01", "9999-12-31"])
    expect(dateOfServerText(`${text} 23:59:59.999+00`)).toEqual(new Date(`${text}T23:59:59.999Z`));
});
