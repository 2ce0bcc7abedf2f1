import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onThisMachine } from '#test/support/wait.ts';
import { missing } from '../support/servers.ts';
import { type Kill, killRuns, seeded } from './kill.ts';

const random = seeded(3);
const nth = () => 1 + Math.floor(random() * 20);

// Two plans, so that every named point has its turn while each run stays short.
const PLANS: { name: string; kills: Kill[] }[] = [
  {
    name: 'around the commit',
    kills: [
      { at: 'after-append', nth: nth() },
      { at: 'before-commit', nth: nth() },
      { at: 'after-commit', nth: nth() },
    ],
  },
  {
    name: 'before the ack, in the chain, in a downlink',
    kills: [
      { at: 'before-ack', nth: nth() },
      { at: 'mid-chain', nth: nth() },
      { at: 'mid-downlink', nth: 3 },
    ],
  },
];

for (const { name, kills } of PLANS) {
  test(`kill -9 ${name}: nothing lost, the ledger exact, back within 5 s`, { skip: missing('mosquitto') }, async (t) => {
    const report = await killRuns({ kills, backlog: 1000, perSecond: 2000, log: (line) => t.diagnostic(line) });
    assert.deepEqual(
      { lost: report.lost, lostDownlinks: report.lostDownlinks, ledger: report.ledger, notReached: report.notReached },
      { lost: 0, lostDownlinks: 0, ledger: [], notReached: [] },
    );
    assert.ok(report.slowestMs <= onThisMachine(5000), `the slowest return took ${report.slowestMs.toFixed(0)} ms`);
  });
}
