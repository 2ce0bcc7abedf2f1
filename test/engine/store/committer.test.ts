import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { describe, test } from 'node:test';
import { NotDurable } from '#engine/errors.ts';
import { Committer } from '#engine/store/sqlite/committer.ts';
import { openDatabase } from '#engine/store/sqlite/database.ts';
import { MIGRATIONS } from '#engine/store/sqlite/migrations.ts';
import { Numbers } from '#engine/store/sqlite/numbers.ts';
import { temporaryFolder } from '#test/support/backend.ts';

describe('sqlite: commits', () => {
  /** A committer over a real file with a disk that answers when it is told to. */
  function slowDisk() {
    const folder = temporaryFolder();
    const db = openDatabase({
      folder,
      migrations: [
        { version: 1, sql: 'CREATE TABLE a (x UNIQUE)' },
        { version: 2, sql: MIGRATIONS[0]!.sql },
      ],
    });
    const transactions: number[] = [];
    const syncs: PromiseWithResolvers<void>[] = [];
    const committer = new Committer<number>({
      db,
      numbers: new Numbers(db),
      now: () => 0,
      onPoint: () => {},
      onWritten: () => {},
      onChanges: () => {},
      sizeOf: () => 1,
      answersFirst: () => false,
      sync: () => {
        const sync = Promise.withResolvers<void>();
        syncs.push(sync);
        return sync.promise;
      },
      applier: {
        apply: (x) => void db.run('INSERT INTO a VALUES (?)', x),
        finish: (works) => void transactions.push(works.length),
        committed: () => {},
      },
    });
    const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    return {
      committer,
      transactions,
      syncs,
      turn,
      stored: () => db.all<{ x: number }>('SELECT x FROM a ORDER BY x').map((row) => row.x),
      async close() {
        await committer.close();
        db.close();
        rmSync(folder, { recursive: true });
      },
    };
  }

  test('nobody is told before the disk has it; two transactions at a time, what comes then is the next', async () => {
    const disk = slowDisk();
    const told: number[] = [];
    const ask = (x: number) => disk.committer.commit(x).then(() => told.push(x));
    const all = [ask(1), ask(2)];
    await disk.turn();
    all.push(ask(3));
    await disk.turn();
    all.push(ask(4), ask(5), ask(6));
    await disk.turn();
    assert.deepEqual([told, disk.transactions, disk.syncs.length], [[], [2, 1], 2]);
    disk.syncs[1]!.resolve();
    await disk.turn();
    assert.deepEqual([told, disk.transactions], [[], [2, 1]], 'the second is not told before the first');
    disk.syncs[0]!.resolve();
    await disk.turn();
    assert.deepEqual([told, disk.transactions, disk.syncs.length], [[1, 2, 3], [2, 1, 3], 3]);
    disk.syncs[2]!.resolve();
    await Promise.all(all);
    assert.deepEqual(told, [1, 2, 3, 4, 5, 6]);
    await disk.close();
  });

  test('settled: everything written so far', async () => {
    const disk = slowDisk();
    let settled = false;
    const asked = disk.committer.commit(1);
    await disk.turn();
    const waiting = disk.committer.settled().then(() => {
      settled = true;
    });
    await disk.turn();
    assert.equal(settled, false);
    disk.syncs[0]!.resolve();
    await Promise.all([asked, waiting]);
    await disk.committer.settled();
    await disk.close();
  });

  test('a disk that fails to sync is asked again, and nobody is told until then', async () => {
    const disk = slowDisk();
    let told = false;
    const asked = disk.committer.commit(1).then(() => {
      told = true;
    });
    await disk.turn();
    disk.syncs[0]!.reject(new Error('EIO'));
    await disk.turn();
    assert.deepEqual([told, disk.committer.health()], [false, { ok: false, reason: 'EIO' }]);
    while (disk.syncs.length < 2) await new Promise((resolve) => setTimeout(resolve, 50));
    disk.syncs[1]!.resolve();
    await asked;
    assert.deepEqual(disk.committer.health(), { ok: true });
    await disk.close();
  });

  test('closing makes durable what was asked for before, and refuses what comes after', async () => {
    const disk = slowDisk();
    const asked = [1, 2].map((x) => disk.committer.commit(x));
    const closed = disk.close();
    disk.syncs[0]!.resolve();
    await assert.rejects(disk.committer.commit(3), NotDurable);
    await Promise.all([...asked, closed]);
  });

  test('a bug in one work takes nobody else down', async () => {
    const disk = slowDisk();
    const asked = [1, 1, 2].map((x) => disk.committer.commit(x));
    await disk.turn();
    disk.syncs[0]!.resolve();
    assert.deepEqual(
      (await Promise.allSettled(asked)).map((outcome) => outcome.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    assert.deepEqual(disk.stored(), [1, 2]);
    await disk.close();
  });
});
