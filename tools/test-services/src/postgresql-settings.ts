import { randomBytes } from "node:crypto";
import type { PostgresqlServiceOptions } from "./service.ts";

/** The superuser of every server, whose database has the same name. */
export const superuser = "postgres";

/** How a cluster is made: text by its code points everywhere, and a password for whoever comes. */
export const initdbArguments: readonly string[] = [
  "--encoding=UTF8",
  "--locale=C.UTF-8",
  "--auth=scram-sha-256",
  "--no-sync",
];

/** What every server of ours is set to. */
const common = {
  // For reading the log of changes.
  wal_level: "logical",
  max_wal_senders: "20",
  max_replication_slots: "20",
  max_connections: "200",
  max_prepared_transactions: "20",
  ssl: "on",
  password_encryption: "scram-sha-256",
  // The compiler's library is not unpacked, and tests are over before it would pay.
  jit: "off",
};

/** A process that is killed loses nothing without these: only a machine that loses its power does. */
const hasty = { fsync: "off", full_page_writes: "off" };

/** The settings as arguments of `postgres`. */
export function settingsOf({ durable = false, settings = {} }: PostgresqlServiceOptions): string[] {
  const all: Record<string, string> = { ...common, ...(durable ? {} : hasty), ...settings };
  return Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** A password of one server: on a machine of many users, its superuser may do what the one who started it may. */
export function newPassword(): string {
  return randomBytes(16).toString("hex");
}

/** Where a server on the port of this machine is connected to. */
export function urlOf(password: string, port: number): string {
  return `postgresql://${superuser}:${password}@127.0.0.1:${port}/${superuser}`;
}
