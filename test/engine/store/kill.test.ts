import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { laneOf } from '#engine/queue.ts';
import { commit, offBy, sqlite, takeNow, temporaryFolder, within } from '#test/support/backend.ts';
import { ENTITIES, NODE, OWNER, TENANT } from './kill-child.ts';

/** Runs the writer until `until` says so, kills it with nothing it could do about it, and returns the numbers that it was told are durable. */
async function writeAndKill(folder: string, from: number, until: (acknowledged: number) => boolean, point = ''): Promise<number[]> {
  const child: ChildProcess = spawn(process.execPath, [new URL('./kill-child.ts', import.meta.url).pathname, folder, String(from), point], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const acknowledged: number[] = [];
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  for await (const line of createInterface({ input: child.stdout! })) {
    acknowledged.push(...line.split(',').map(Number));
    if (until(acknowledged.length)) child.kill('SIGKILL');
  }
  await within(ended, 'exit of the writer', 10_000);
  return acknowledged;
}

/** Opens what was left, works off the lanes, and checks that every acknowledged number had its effect, none twice, and that the ledger adds up. */
async function check(folder: string, acknowledged: readonly number[]): Promise<void> {
  const running = await sqlite.start({ folder });
  const { backend } = running;
  const before = await backend.store.ledger(TENANT, OWNER);
  assert.deepEqual(offBy(before), { uplinks: 0, messages: 0, downlinks: 0 });
  const waiting: number[] = [];
  for (let lane = 0; lane < backend.queue.lanes; lane++) {
    for (let batch = await takeNow(backend, lane); batch; batch = await takeNow(backend, lane)) {
      const done = batch;
      for (const entry of done.messages) {
        assert.equal(laneOf(entry.originator.id, backend.queue.lanes), lane);
        waiting.push(Number(entry.data));
      }
      await commit(backend, (work) => {
        work.done.push(done);
        work.count(TENANT, OWNER, 'messages.dead', done.messages.length);
      });
    }
  }
  const kept = (await backend.store.kept(TENANT, NODE, { max: 1_000_000 })).map((entry) => Number(entry.message.data));
  assert.equal(backend.queue.depth().kept, kept.length);
  const stored: number[] = [];
  for (const entity of ENTITIES) {
    const found = await backend.store.history(TENANT, entity, { keys: ['n'], startTs: 0, endTs: 1e9, aggregation: 'NONE', limit: 1e6, order: 'ASC' });
    for (const point of found.get('n') ?? []) stored.push(Number(point.value.value));
    const latest = (await backend.store.latest(TENANT, entity, ['n'])).get('n');
    assert.equal(latest?.ts, found.get('n')?.at(-1)?.ts);
  }
  const all = [...stored, ...waiting, ...kept].sort((a, b) => a - b);
  assert.equal(new Set(all).size, all.length, 'each once');
  const there = new Set(all);
  assert.deepEqual(
    acknowledged.filter((n) => !there.has(n)),
    [],
    'acknowledged and lost',
  );
  const { messages } = await backend.store.ledger(TENANT, OWNER);
  assert.deepEqual(
    { stored: messages.stored, created: messages.created, inFlight: messages.inFlight },
    { stored: stored.length, created: all.length + (messages.dead - waiting.length), inFlight: kept.length },
  );
  await running.backend.close();
}

describe('sqlite: kill -9', () => {
  for (const seed of [1, 2, 3]) {
    test(`at random, seed ${seed}: nothing acknowledged is lost, nothing is there twice`, async () => {
      const folder = temporaryFolder();
      const least = 200 + ((seed * 7919) % 700);
      const acknowledged = await writeAndKill(folder, 0, (n) => n >= least);
      assert.ok(acknowledged.length >= least);
      await check(folder, acknowledged);
      rmSync(folder, { recursive: true });
    });
  }
  for (const point of ['after-append', 'before-commit', 'after-commit']) {
    test(`at the point ${point}`, async () => {
      const folder = temporaryFolder();
      await check(folder, await writeAndKill(folder, 0, () => false, point));
      rmSync(folder, { recursive: true });
    });
  }
});
