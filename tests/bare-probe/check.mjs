// Runs the module: node check.mjs MODULE.wasm
import assert from "node:assert";
import { readFileSync } from "node:fs";

const bytes = readFileSync(process.argv[2]);
const module = new WebAssembly.Module(bytes);
assert.deepStrictEqual(WebAssembly.Module.imports(module), [], "the module imports something");
const names = WebAssembly.Module.exports(module).map(({ name }) => name);
assert(names.includes("self_test"), `exports: ${names}`);

// Twice: nothing it does depends on when or where it is called.
for (const round of [1, 2]) {
  const { self_test, heap_peak } = new WebAssembly.Instance(module, {}).exports;
  assert.strictEqual(self_test(), 0, `round ${round}: 100 times the check, and the line of its recording`);
  if (round === 2) {
    console.log(`wasm: ${bytes.length} bytes, no imports, every check holds, at most ${heap_peak()} bytes of heap`);
  }
}
