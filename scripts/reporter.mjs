// A vitest reporter that leaves the totals, the reasons of skips and the slowest files for scripts/run-tests.mjs.
import { writeFileSync } from 'node:fs';

// biome-ignore lint/style/noDefaultExport: vitest takes a reporter file's default export.
export default class TotalsReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const totals = { passed: 0, failed: 0, skipped: [], unhandled: unhandledErrors.length, slowest: [] };
    for (const module of modules) {
      // A file that could not be loaded has no tests to count.
      if (module.state() === 'failed' && module.errors().length > 0) totals.failed++;
      totals.slowest.push([module.relativeModuleId, Math.round(module.diagnostic().duration)]);
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === 'passed') totals.passed++;
        else if (result.state === 'failed') totals.failed++;
        else totals.skipped.push({ test: test.fullName, reason: result.note ?? 'marked as skipped' });
      }
    }
    totals.slowest.sort((a, b) => b[1] - a[1]).splice(5);
    if (process.env.UDPTAP_TOTALS) writeFileSync(process.env.UDPTAP_TOTALS, JSON.stringify(totals));
  }
}
