import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newId } from '#engine/id.ts';
import type { Value } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import { commit, device, sqlite } from '#test/support/backend.ts';

const KEYS = ['a', 'b', 'c'];
const entity = fc.integer({ min: 0, max: 2 });
const ts = fc.integer({ min: 0, max: 12 });
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.integer({ min: -5, max: 5 }).map((n): Value => ({ type: 'LONG', value: n })),
  fc.constantFrom<Value>({ type: 'DOUBLE', value: 3 }, { type: 'STRING', value: '1,[' }, { type: 'LONG', value: 2n ** 62n }),
);
const sample = fc.record({
  entity,
  ts,
  values: fc.dictionary(fc.constantFrom(...KEYS), value, { minKeys: 1 }),
  history: fc.boolean(),
  latest: fc.boolean(),
});
type Sample = typeof sample extends fc.Arbitrary<infer T> ? T : never;
type Removal = { entity: number; keys: string[]; range: { startTs: number; endTs: number } | null; removeLatest: boolean };
type Step =
  | { do: 'write'; works: Sample[][] }
  | { do: 'remove'; removal: Removal }
  | { do: 'purge'; entity: number }
  | { do: 'restart' }
  | { do: 'wait' };

const removal: fc.Arbitrary<Removal> = fc.record({
  entity,
  keys: fc.subarray(KEYS, { minLength: 1 }),
  range: fc.option(fc.tuple(ts, ts).map(([startTs, endTs]) => ({ startTs, endTs }))),
  removeLatest: fc.boolean(),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .array(fc.array(sample, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 })
      .map((works): Step => ({ do: 'write', works })),
  },
  { weight: 2, arbitrary: removal.map((each): Step => ({ do: 'remove', removal: each })) },
  { weight: 1, arbitrary: entity.map((each): Step => ({ do: 'purge', entity: each })) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'restart' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'wait' }) },
);

/** What must be read, by the plainest means. */
class Model {
  readonly history = new Map<string, Value>();
  readonly latest = new Map<string, { ts: number; value: Value }>();

  write({ entity: who, ts: at, values, history, latest }: Sample): void {
    for (const [key, each] of Object.entries(values)) {
      if (history) this.history.set(`${who} ${key} ${at}`, each);
      const old = this.latest.get(`${who} ${key}`);
      if (latest && (!old || at >= old.ts)) this.latest.set(`${who} ${key}`, { ts: at, value: each });
    }
  }

  remove({ entity: who, keys, range, removeLatest }: Removal): void {
    const inside = (at: number) => range === null || (at >= range.startTs && at < range.endTs);
    for (const key of keys) {
      for (let at = 0; at <= 12; at++) if (inside(at)) this.history.delete(`${who} ${key} ${at}`);
      const old = this.latest.get(`${who} ${key}`);
      if (removeLatest && old && inside(old.ts)) this.latest.delete(`${who} ${key}`);
    }
  }

  purge(who: number): void {
    for (const map of [this.history, this.latest]) for (const name of map.keys()) if (name.startsWith(`${who} `)) map.delete(name);
  }
}

/** Samples stand in the journal, in memory or in the tables, and move at any moment: what is read must not depend on it. */
test('sqlite: telemetry reads the same wherever it stands', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const running = await sqlite.start({ flushMs: 1, sweepMs: 3 });
      try {
        const tenantId = newId();
        const entities: EntityRef[] = [device(), device(), device()];
        const model = new Model();
        for (const move of steps) {
          if (move.do === 'write') {
            for (const each of move.works.flat()) model.write(each);
            await Promise.all(
              move.works.map((samples) =>
                commit(running.backend, (work) => {
                  for (const { entity: who, values, ...rest } of samples)
                    work.telemetry.push({ tenantId, entity: entities[who]!, values: Object.entries(values), expiresAt: null, ...rest });
                }),
              ),
            );
          } else if (move.do === 'remove') {
            model.remove(move.removal);
            const { entity: who, ...rest } = move.removal;
            await commit(running.backend, (work) => work.telemetryRemovals.push({ tenantId, entity: entities[who]!, ...rest, rewriteLatest: false }));
          } else if (move.do === 'purge') {
            model.purge(move.entity);
            await commit(running.backend, (work) => work.purges.push({ tenantId, entity: entities[move.entity]! }));
          } else if (move.do === 'restart') await running.restart();
          // A few rounds of the loop: long enough for sorting in to begin, in no way always to end.
          else for (let round = 0; round < 5; round++) await new Promise((resolve) => setImmediate(resolve));

          const read = new Model();
          for (const [who, each] of entities.entries()) {
            for (const [key, point] of await running.backend.store.latest(tenantId, each)) read.latest.set(`${who} ${key}`, point);
            const query = { keys: KEYS, startTs: 0, endTs: 13, aggregation: 'NONE', limit: 100 } as const;
            for (const [key, points] of await running.backend.store.history(tenantId, each, { ...query, order: 'ASC' })) {
              for (const point of points) read.history.set(`${who} ${key} ${point.ts}`, point.value);
              const descending = (await running.backend.store.history(tenantId, each, { ...query, order: 'DESC' })).get(key);
              assert.deepEqual(descending?.reverse(), points);
            }
          }
          assert.deepEqual(read.latest, model.latest);
          assert.deepEqual(read.history, model.history);
        }
      } finally {
        await running.stop();
      }
    }),
    { numRuns: 40, seed: 20_252 },
  );
});
