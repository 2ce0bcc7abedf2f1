import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { ConfigError, NotDurable } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { openDatabase } from '#engine/store/sqlite/database.ts';
import { MIGRATIONS } from '#engine/store/sqlite/migrations.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import type { Kept } from '#engine/store.ts';
import { commit, device, doc, downlink, message, offBy, sqlite, temporaryFolder, within } from '#test/support/backend.ts';

describe('sqlite: the data file', () => {
  test('a folder in use is refused, and free again afterwards', async () => {
    const running = await sqlite.start();
    await assert.rejects(
      openSqliteBackend({ folder: running.folder }),
      (cause: ConfigError) => cause instanceof ConfigError && cause.message.includes(running.folder),
    );
    await running.restart();
    await running.stop();
  });

  test('a file of an older version is brought up to date, with its data', () => {
    const folder = temporaryFolder();
    openDatabase({ folder, migrations: [{ version: 1, sql: "CREATE TABLE a (x); INSERT INTO a VALUES ('kept')" }] }).close();
    const db = openDatabase({
      folder,
      migrations: [
        { version: 1, sql: 'not run again' },
        { version: 2, sql: 'ALTER TABLE a ADD COLUMN y DEFAULT 2' },
      ],
      now: () => 7,
    });
    assert.deepEqual(Object.values(db.get('SELECT x, y FROM a') ?? {}), ['kept', 2]);
    assert.deepEqual(
      db.all('SELECT version FROM schema_versions ORDER BY version').map((row) => row['version']),
      [1, 2],
    );
    db.close();
    assert.throws(
      () => openDatabase({ folder, migrations: [{ version: 1, sql: '' }] }),
      (cause: ConfigError) => cause instanceof ConfigError && /newer version.*schema 2.*knows 1/.test(cause.message),
    );
    // The refusal has let go of the folder.
    openDatabase({
      folder,
      migrations: [
        { version: 1, sql: '' },
        { version: 2, sql: '' },
      ],
    }).close();
    rmSync(folder, { recursive: true });
  });

  test('a migration that fails leaves the version before it', () => {
    const folder = temporaryFolder();
    const first = { version: 1, sql: 'CREATE TABLE a (x)' };
    assert.throws(() => openDatabase({ folder, migrations: [first, { version: 2, sql: 'CREATE TABLE b (y); CREATE TABLE a (x)' }] }));
    const db = openDatabase({ folder, migrations: [first] });
    assert.deepEqual(
      db.all("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')").map((row) => row['name']),
      ['a'],
    );
    db.close();
    rmSync(folder, { recursive: true });
  });

  test('a file of the first version is run as it is', async () => {
    const folder = temporaryFolder();
    openDatabase({ folder, migrations: MIGRATIONS.slice(0, 1) }).close();
    const running = await sqlite.start({ folder });
    assert.deepEqual(await running.backend.store.keptSummary(newId(), newId()), { count: 0, oldestAt: null, lastReason: null });
    await running.stop();
  });

  test('versions are numbered without gaps', () =>
    assert.deepEqual(
      MIGRATIONS.map((migration) => migration.version),
      MIGRATIONS.map((_, index) => index + 1),
    ));

  test('the number of lanes is that of the first start', async () => {
    const running = await sqlite.start({ lanes: 5 });
    await running.backend.close();
    running.backend = await openSqliteBackend({ folder: running.folder, lanes: 9 });
    assert.equal(running.backend.queue.lanes, 5);
    await running.stop();
  });
});

describe('sqlite: a full disk', () => {
  test('nothing of a work happens, the process goes on, and works again when there is room', async () => {
    const running = await sqlite.start({ pageLimit: 150 });
    const { backend } = running;
    const tenantId = newId();
    const big = () => doc({ tenantId, body: { text: 'x'.repeat(40_000) } });
    const kept: string[] = [];
    const entity = device();
    const nodeId = newId();
    const stays = (data: string): Kept => ({
      ...{ nodeId, kind: 'own', key: '', keptAt: 1000, attempts: 0, reason: null },
      message: message(tenantId, entity, data),
    });
    let refused: unknown;
    while (!refused && kept.length < 100) {
      const document = big();
      await commit(backend, (work) => {
        work.docs.push({ doc: document });
        work.messages.push(message(tenantId, entity, document.id));
        work.kept.push(stays(document.id));
        work.nodeStates.push({ tenantId, nodeId, key: 'last', value: document.id });
        work.count(tenantId, tenantId, 'messages.created', 2);
      }).then(
        () => kept.push(document.id),
        (cause) => {
          refused = cause;
        },
      );
    }
    assert.ok(refused instanceof NotDurable, String(refused));
    assert.equal(backend.health().ok, false);
    assert.ok(kept.length > 3 && kept.length < 100);
    assert.deepEqual((await backend.store.ledger(tenantId, tenantId)).messages, {
      created: 2 * kept.length,
      stored: 0,
      filtered: 0,
      dead: 0,
      inFlight: 2 * kept.length,
    });
    assert.deepEqual([backend.queue.depth().messages, backend.queue.depth().kept], [kept.length, kept.length]);
    assert.deepEqual(
      (await backend.store.kept(tenantId, nodeId, { max: 100 })).map(({ message: { data } }) => data),
      kept,
    );
    assert.equal(await backend.store.nodeState(tenantId, nodeId, 'last'), kept.at(-1));

    await commit(backend, (work) => {
      for (const id of kept.slice(0, 4)) work.docs.push({ remove: { collection: 'DEVICE', tenantId, id } });
    });
    await commit(backend, (work) => work.docs.push({ doc: big() }));
    assert.deepEqual(backend.health(), { ok: true });
    await running.stop();
  });
});

describe('sqlite: the ledger', () => {
  test('a row removed behind our back is seen', async () => {
    const running = await sqlite.start();
    const tenantId = newId();
    await commit(running.backend, (work) => {
      for (let i = 0; i < 10; i++) work.messages.push(message(tenantId, device(), '{}'));
      work.count(tenantId, tenantId, 'messages.created', 10);
      work.held.push({ message: message(tenantId, device(), '{}'), notBefore: Number.MAX_SAFE_INTEGER });
      work.downlinks.push(downlink({ tenantId, integrationId: tenantId, entity: device() }));
      work.count(tenantId, tenantId, 'messages.created');
      work.count(tenantId, tenantId, 'downlinks.created');
    });
    assert.deepEqual(offBy(await running.backend.store.ledger(tenantId, tenantId)), { uplinks: 0, messages: 0, downlinks: 0 });
    const thief = new DatabaseSync(join(running.folder, 'fieldbridge.db'));
    const { n } = thief.prepare('DELETE FROM lane WHERE seq = (SELECT min(seq) FROM lane) RETURNING n').get() as { n: number };
    thief.exec('DELETE FROM held; DELETE FROM downlinks');
    thief.close();
    assert.deepEqual(offBy(await running.backend.store.ledger(tenantId, tenantId)), { uplinks: 0, messages: n + 1, downlinks: 1 });
    await running.stop();
  });

  test('what is kept is read in milliseconds with 100,000 messages kept, each for an originator of its own', async () => {
    const running = await sqlite.start();
    const [tenantId, nodeId] = [newId(), newId()];
    let last = device();
    for (let i = 0; i < 100_000; i += 500) {
      await commit(running.backend, (work) => {
        for (let k = 0; k < 500; k++) {
          last = device();
          const kept = { nodeId, kind: k % 2 ? 'send' : 'own', key: k % 2 ? 'target' : last.id, keptAt: i + k, attempts: 0, reason: null } as const;
          work.kept.push({ ...kept, message: message(tenantId, last, '{}') });
        }
      });
    }
    const { store, queue } = running.backend;
    // More than is read in one turn.
    const first = await store.kept(tenantId, nodeId, { max: 6000 });
    assert.deepEqual(
      first.map(({ keptAt }) => keptAt),
      Array.from({ length: 6000 }, (_, i) => i),
    );
    const summary = { count: 100_000, oldestAt: 0, lastReason: null };
    // Counted once, and kept up to date from then on.
    assert.deepEqual(await store.keptSummary(tenantId, nodeId), summary);
    for (const [name, read, expected] of [
      ['summary', () => store.keptSummary(tenantId, nodeId), summary],
      ['summary of a key', () => store.keptSummary(tenantId, nodeId, 'target'), { count: 50_000, oldestAt: 1, lastReason: null }],
      ['of a key', async () => (await store.kept(tenantId, nodeId, { key: 'target', max: 3 })).map(({ keptAt }) => keptAt), [1, 3, 5]],
      ['of a node', async () => (await store.kept(tenantId, nodeId, { max: 3 })).map(({ keptAt }) => keptAt), [0, 1, 2]],
      ['to be sent', async () => (await queue.sends(5, { max: 3 })).length, 3],
      ['ledger', async () => (await store.ledger(tenantId, tenantId)).messages.inFlight, 100_000],
    ] as const) {
      const times: number[] = [];
      for (let i = 0; i < 15; i++) {
        const start = performance.now();
        assert.deepEqual(await read(), expected);
        times.push(performance.now() - start);
      }
      const middle = times.sort((a, b) => a - b)[7]!;
      assert.ok(middle <= 4, `${name}: ${middle.toFixed(2)} ms`);
    }
    await running.stop();
  });

  test('reads in 2 ms with 100,000 messages waiting', async () => {
    const running = await sqlite.start();
    const tenantId = newId();
    const entities = Array.from({ length: 200 }, () => device());
    for (let i = 0; i < 2000; i++) {
      await commit(running.backend, (work) => {
        for (let k = 0; k < 50; k++) work.messages.push(message(tenantId, entities[(i * 50 + k) % 200]!, '{}'));
        work.count(tenantId, tenantId, 'messages.created', 50);
      });
    }
    const times: number[] = [];
    for (let i = 0; i < 15; i++) {
      const start = performance.now();
      const { messages } = await running.backend.store.ledger(tenantId, tenantId);
      times.push(performance.now() - start);
      assert.equal(messages.inFlight, 100_000);
    }
    // The middle one: this machine has other things to do.
    const middle = times.sort((a, b) => a - b)[7]!;
    assert.ok(middle <= 2, `${middle.toFixed(2)} ms`);
    await running.stop();
  });
});

describe('sqlite: what is over', () => {
  let running: Awaited<ReturnType<typeof sqlite.start>>;
  let now = 1000;
  before(async () => {
    running = await sqlite.start({ now: () => now, sweepMs: 5, flushMs: 5, eventLimit: 50 });
  });
  after(() => running.stop());

  const count = (sql: string): number => {
    const reader = new DatabaseSync(join(running.folder, 'fieldbridge.db'), { readOnly: true });
    const { n } = reader.prepare(sql).get() as { n: number };
    reader.close();
    return n;
  };
  const until = (sql: string, n: number) =>
    within(
      (async () => {
        while (count(sql) !== n) await new Promise((resolve) => setTimeout(resolve, 5));
      })(),
      sql,
    );

  test('expired telemetry, debug events after seven days and what a deleted entity left are swept away', async () => {
    const tenantId = newId();
    const [entity, deleted] = [device(), device()];
    await commit(running.backend, (work) => {
      for (const [target, expiresAt] of [
        [entity, 2000],
        [entity, null],
        [deleted, null],
      ] as const) {
        for (let ts = 0; ts < 1500; ts++) {
          work.telemetry.push({
            tenantId,
            entity: target,
            ts: ts + (expiresAt ?? 0),
            values: [['a', { type: 'LONG', value: 1 }]],
            expiresAt,
            history: true,
            latest: true,
          });
        }
      }
      for (const type of ['DEBUG_RULE_NODE', 'ERROR']) work.events.push({ id: newId(), tenantId, entity, type, createdTime: 1, body: {} });
      work.attributes.push({ tenantId, entity: deleted, scope: 'SERVER_SCOPE', key: 'a', value: { type: 'LONG', value: 1 }, lastUpdateTs: 1 });
    });
    await until('SELECT count(*) AS n FROM history', 4500);
    await commit(running.backend, (work) => work.purges.push({ tenantId, entity: deleted }));
    now = 8 * 86_400_000;
    await until('SELECT count(*) AS n FROM purged', 0);
    await until('SELECT count(*) AS n FROM attributes', 0);
    await until("SELECT count(*) AS n FROM events WHERE type = 'DEBUG_RULE_NODE'", 0);
    await until('SELECT count(*) AS n FROM history', 1500);
    assert.equal(count('SELECT count(*) AS n FROM latest'), 1);
    assert.equal(count("SELECT count(*) AS n FROM events WHERE type = 'ERROR'"), 1);
  });

  test('what the nodes of a deleted tenant kept and remembered is swept away, and nothing of another', async () => {
    const [tenantId, other] = [newId(), newId()];
    await commit(running.backend, (work) => {
      for (const tenant of [tenantId, other]) {
        const nodeId = newId();
        const kept = { nodeId, kind: 'own', key: 'k', keptAt: 1, attempts: 0, reason: null } as const;
        for (let i = 0; i < 1234; i++) {
          work.kept.push({ ...kept, message: message(tenant, device(), '{}') });
          work.nodeStates.push({ tenantId: tenant, nodeId, key: String(i), value: i });
        }
      }
    });
    assert.equal(running.backend.queue.depth().kept, 2468);
    await commit(running.backend, (work) => work.purges.push({ tenantId, entity: { entityType: 'TENANT', id: tenantId } }));
    await until('SELECT count(*) AS n FROM purged_tenants', 0);
    assert.deepEqual([count('SELECT count(*) AS n FROM kept'), count('SELECT count(*) AS n FROM node_states')], [1234, 1234]);
    assert.equal(running.backend.queue.depth().kept, 1234);
    assert.equal((await running.backend.store.ledger(other, other)).messages.inFlight, 1234);
  });

  test('events of one entity and type are kept up to a cap, the newest ones', async () => {
    const tenantId = newId();
    const entity = device();
    await commit(running.backend, (work) => {
      for (let i = 0; i < 120; i++) work.events.push({ id: newId(), tenantId, entity, type: 'STATS', createdTime: i, body: {} });
    });
    await until("SELECT count(*) AS n FROM events WHERE type = 'STATS'", 50);
    const { data } = await running.backend.store.events(tenantId, entity, { type: 'STATS', pageSize: 1000, order: 'ASC' });
    assert.equal(data[0]!.createdTime, 70);
  });
});

test('sqlite: checkpoints keep the log short while it is written to', async () => {
  const running = await sqlite.start();
  const tenantId = newId();
  let longest = 0;
  for (let i = 0; i < 400; i++) {
    await commit(running.backend, (work) => {
      for (let k = 0; k < 60; k++) work.docs.push({ doc: doc({ tenantId, body: { text: 'x'.repeat(2000) } }) });
    });
    longest = Math.max(longest, statSync(join(running.folder, 'fieldbridge.db-wal')).size);
  }
  // 50 MB were written.
  assert.ok(longest < 40_000_000, `${longest}`);
  assert.ok(statSync(join(running.folder, 'fieldbridge.db')).size > 30_000_000);
  await running.stop();
});

test('sqlite: beyond the cap of an integration the oldest pending downlink ends', async () => {
  const running = await sqlite.start({ pendingLimit: 3 });
  const tenantId = newId();
  const integrationId = newId();
  const list = Array.from({ length: 5 }, () => downlink({ tenantId, integrationId, entity: device() }));
  for (const part of [list.slice(0, 2), list.slice(2)]) {
    await commit(running.backend, (work) => {
      work.downlinks.push(...part);
      work.count(tenantId, integrationId, 'downlinks.created', part.length);
    });
  }
  const ends = await Promise.all(list.map(async ({ id }) => (await running.backend.store.downlink(tenantId, id))!.history.at(-1)!));
  assert.deepEqual(
    ends.map(({ state, reason }) => (reason ? `${state}: ${reason}` : state)),
    ['EXPIRED: queue full', 'EXPIRED: queue full', 'QUEUED', 'QUEUED', 'QUEUED'],
  );
  assert.deepEqual((await running.backend.store.ledger(tenantId, integrationId)).downlinks, {
    created: 5,
    sent: 0,
    pending: 3,
    replaced: 0,
    expired: 2,
    failed: 0,
  });
  await running.stop();
});

test('sqlite: a long history is read without holding up the event loop', async () => {
  const running = await sqlite.start();
  const tenantId = newId();
  const entity = device();
  for (let start = 0; start < 60_000; start += 3000) {
    await commit(running.backend, (work) => {
      for (let ts = start; ts < start + 3000; ts++)
        work.telemetry.push({ tenantId, entity, ts, values: [['a', { type: 'LONG', value: 1 }]], expiresAt: null, history: true, latest: true });
    });
  }
  let turns = 0;
  let open = true;
  const spin = () => {
    turns++;
    if (open) setImmediate(spin);
  };
  spin();
  const query = { keys: ['a'], startTs: 0, endTs: 60_000, limit: 1, order: 'ASC' } as const;
  const found = await running.backend.store.history(tenantId, entity, { ...query, aggregation: 'COUNT', buckets: [0, 30_000] });
  open = false;
  assert.deepEqual(
    found.get('a')?.map((point) => point.value.value),
    [30_000, 30_000],
  );
  // At most a thousand or so rows a turn.
  assert.ok(turns >= 50, `${turns} turns`);
  await running.stop();
});
