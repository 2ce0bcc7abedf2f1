import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missing } from '../support/servers.ts';
import { waitingKills } from './waiting.ts';

test('kill -9 while messages wait in a delay node and in the outbox: nothing lost, nothing unheard, the ledger exact', {
  skip: missing('mosquitto'),
}, async (t) => {
  const { lost, unheard, ledger } = await waitingKills({ kills: 2, seed: 5, messages: 500, log: (line) => t.diagnostic(line) });
  assert.deepEqual({ lost, unheard, ledger }, { lost: 0, unheard: 0, ledger: [] });
});
