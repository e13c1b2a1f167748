// Compiles src/wire/checksum.wat into src/wire/checksum_wasm_bytes.ts. The result is checked in, so that neither
// building nor installing needs the assembler; test/wire/checksum_wasm.test.ts holds the two together.
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import wabt from 'wabt';

const source = new URL('../src/wire/checksum.wat', import.meta.url);
const target = new URL('../src/wire/checksum_wasm_bytes.ts', import.meta.url);

/** The WebAssembly module that the .wat file describes. */
export async function compileChecksum() {
  const assembler = await wabt();
  const module = assembler.parseWat('checksum.wat', readFileSync(source, 'utf8'), { simd: true });
  module.resolveNames();
  module.validate();
  const { buffer } = module.toBinary({});
  module.destroy();
  return buffer;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const base64 = Buffer.from(await compileChecksum()).toString('base64');
  const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}'`);
  writeFileSync(
    target,
    `/** checksum.wat, compiled; written by scripts/build-wasm.mjs. */\nexport const CHECKSUM_WASM_BASE64 =\n${lines.join(' +\n')};\n`,
  );
}
