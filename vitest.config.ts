import { defineConfig } from 'vitest/config';

// biome-ignore lint/style/noDefaultExport: vitest reads its configuration from here.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Where totals are asked for, the closing lines come from scripts/run-tests.mjs.
    reporters: process.env.UDPTAP_TOTALS ? ['default', './scripts/reporter.mjs'] : ['default'],
  },
});
