#!/usr/bin/env node
// `npx bitnet-server …` in a checkout, or in what `npm pack` packs, unpacked.
import { sep } from "node:path";

if (import.meta.dirname.split(sep).includes("node_modules")) {
  // Node runs no TypeScript there; and a stack's state, which is kept beside the program, would go with the next install.
  console.error(
    "bitnet-server cannot run inside node_modules: clone its repository, or unpack its package, and run it there",
  );
  process.exit(1);
}
await import("./bootstrap.mjs");
