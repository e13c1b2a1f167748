/** Writes the JSON Schema of scenario files, as editors and other programs read it: `npx tsx scripts/build-schema.ts`. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { scenarioJsonSchema } from '../src/scenario/schema.js';

const folder = new URL('../schema/', import.meta.url);
mkdirSync(folder, { recursive: true });
writeFileSync(new URL('scenario.schema.json', folder), `${JSON.stringify(scenarioJsonSchema(), null, 2)}\n`);
