import { describeSqlite } from "./describe-sqlite.ts";

describeSqlite("sqlite, written by a thread", "always");
