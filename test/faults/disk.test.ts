import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missing } from '../support/servers.ts';
import { fullDisk } from './disk.ts';

test('a full disk: uplinks are refused or stay unacknowledged, the process lives and goes on when there is room', {
  skip: missing('mosquitto'),
}, async (t) => {
  const report = await fullDisk({ log: (line) => t.diagnostic(line) });
  if (!report) return t.skip('not run: this user may not mount a tmpfs; the page limit of the backend stands in for it in test/contract');
  assert.deepEqual(
    { ...report, refused: report.refused > 0, healthWhileFull: undefined },
    { refused: true, lost: 0, lostBehindBroker: 0, processLived: true, healthWhileFull: undefined, ledger: [] },
  );
});
