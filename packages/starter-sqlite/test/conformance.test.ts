import { describeSqlite } from "./describe-sqlite.ts";

describeSqlite("sqlite", "never");
