import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { missing } from '../support/servers.ts';
import { clusterKillRuns } from './cluster-kill.ts';
import { clusterOutages } from './cluster-outage.ts';
import { clusterPauses } from './cluster-pause.ts';
import type { ClusterVerdict } from './cluster-plant.ts';

const skip = missing('mosquitto') || missing('redis') || missing('mongo');
const nothingLost = ({ lost, lostDownlinks, disorder, ledger }: ClusterVerdict) =>
  assert.deepEqual({ lost, lostDownlinks, disorder, ledger }, { lost: 0, lostDownlinks: 0, disorder: 0, ledger: [] });

describe('several processes: nothing lost, nothing out of order, the ledger exact', { skip }, () => {
  test('when they are killed between the transaction and what follows it, while lanes move, or all at once', async (t) => {
    const report = await clusterKillRuns({
      kills: [
        { role: 'rules', point: 'after-commit', nth: 3, afterMs: 0 },
        { role: 'integrations', point: 'before-dispatch', nth: 3, afterMs: 0 },
        { role: 'rules', point: 'lease-taken', nth: 1, afterMs: 0 },
        { role: 'all', point: null, nth: 1, afterMs: 500 },
      ],
      backlog: 300,
      perSecond: 50,
      log: (line) => t.diagnostic(line),
    });
    nothingLost(report);
    assert.deepEqual(report.notReached, []);
    assert.ok(report.slowestTakeOverMs <= 10_000, `taken over in ${report.slowestTakeOverMs.toFixed(0)} ms`);
  });

  test('when holders of leases stand still and go on with what they had in their hands', async (t) => {
    const report = await clusterPauses({ awayMs: 7000, perSecond: 100, log: (line) => t.diagnostic(line) });
    nothingLost(report);
    assert.ok(report.slowestTakeOverMs <= 10_000, `taken over in ${report.slowestTakeOverMs.toFixed(0)} ms`);
    assert.ok(report.backWithLanes > 0);
  });

  test('when Redis and MongoDB are killed, or hang with their connections open', async (t) => {
    const report = await clusterOutages({
      outages: [
        { server: 'redis', way: 'kill' },
        { server: 'mongo', way: 'kill' },
        { server: 'both', way: 'hang' },
      ],
      awayMs: 4000,
      perSecond: 100,
      log: (line) => t.diagnostic(line),
    });
    nothingLost(report);
    assert.ok(report.slowestNoticeMs <= 10_000, `noticed after ${report.slowestNoticeMs.toFixed(0)} ms`);
    assert.ok(report.slowestRecoveryMs <= 15_000, `recovered after ${report.slowestRecoveryMs.toFixed(0)} ms`);
  });
});
