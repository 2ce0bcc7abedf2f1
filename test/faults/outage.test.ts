import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missing } from '../support/servers.ts';
import { outages } from './outage.ts';

test('the broker is away for 5 s: the status tells, it recovers by itself, nothing is lost', { skip: missing('mosquitto') }, async (t) => {
  const report = await outages({ times: 1, awayMs: 5000, log: (line) => t.diagnostic(line) });
  assert.ok(report.slowestNoticeMs <= 10_000, `the status told after ${report.slowestNoticeMs.toFixed(0)} ms`);
  assert.ok(report.slowestRecoveryMs <= 15_000, `it recovered after ${report.slowestRecoveryMs.toFixed(0)} ms`);
  assert.deepEqual({ lost: report.lost, ledger: report.ledger }, { lost: 0, ledger: [] });
});
