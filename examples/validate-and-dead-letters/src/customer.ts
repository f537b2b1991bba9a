import type { Transform } from "@omni/p2p-core";
import { z } from "zod";

/** What the target takes. */
const customer = z.object({
  id: z.number().int(),
  email: z.email(),
  country: z.string().length(2),
  born: z.number().int().min(1900).max(2030).nullable(),
});

/** Lets only customers through that are as they should be; the others fail with every fault named. */
export const validated: Transform = (record) => {
  const result = customer.safeParse(record);
  if (result.success) return result.data;
  throw new Error(result.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; "));
};

const COUNTRIES: Readonly<Record<string, string>> = { germany: "DE", france: "FR", china: "CN" };

/** What can be mended without asking anybody. */
export const mended: Transform = (record, context) => {
  const { email, country } = record;
  return validated(
    {
      ...record,
      email: typeof email === "string" ? email.trim().replace(" at ", "@").toLowerCase() : email,
      country: typeof country === "string" ? (COUNTRIES[country.toLowerCase()] ?? country) : country,
    },
    context,
  );
};
