const readAll =
  'declare const target: unknown; declare function readAll(from: unknown): Promise<import("@omni/p2p-core").P2PRecord[]>;';

const connection = 'declare const connection: import("@omni/p2p-core").P2PConnection;';

/** What short examples of packages leave to the reader, by file, declared so that they compile: on one line each. */
export const takenForGranted: Readonly<Record<string, string>> = {
  "packages/testkit/README.md": `declare function dropTable(table: string): Promise<void>; ${readAll}`,
  "packages/core/src/connection/running-transfer.ts": connection,
  "packages/core/src/live/follow-options.ts": connection,
  "docs/guide/mirror.md": 'declare const target: Parameters<typeof import("@omni/p2p-core").verify>[1];',
  "packages/testkit/src/compare.ts": readAll,
  "packages/testkit/src/conformance.ts":
    'import { mkdtemp, rm } from "node:fs/promises"; import { tmpdir } from "node:os"; import { join } from "node:path"; ' +
    'import { sqliteStarter } from "@omni/p2p-starter-sqlite";',
  "packages/testkit/src/arbitraries.ts":
    "declare const fc: { assert(property: unknown): void; " +
    'property(values: unknown, check: (value: import("@omni/p2p-core").P2PValue) => unknown): unknown };',
};

/** Modules of the reader's own that examples import, by their place beside the blocks. */
export const readersModules: Readonly<Record<string, string>> = {
  "../src/index.ts": 'export declare const myStarter: import("@omni/p2p-core").P2PStarter;',
};
