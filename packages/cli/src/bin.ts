#!/usr/bin/env node
// Only what Node 10 can parse may stand here, and no static import: an older Node is to say the sentence below instead
// of failing on what it does not know.
const version = process.versions.node.split(".").map(Number);
const [major = 0, minor = 0] = version;

if (major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)) {
  import("./start.ts");
} else {
  process.stderr.write(
    `omni-p2p: this needs Node 22.18 or newer; it was run by Node ${process.versions.node}\n` +
      "  Next: install Node 24 (https://nodejs.org), then the same command again\n",
  );
  process.exitCode = 2;
}

export {};
