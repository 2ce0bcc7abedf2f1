import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newId } from '#engine/id.ts';
import { withChanges } from '#engine/message.ts';
import { laneOf } from '#engine/queue.ts';
import { type BackendUnderTest, commit, device, message, takeNow } from '#test/support/backend.ts';

const LANES = 2;
const ORIGINATORS = 4;

type Step =
  | { do: 'append'; originators: number[] }
  /** Takes a batch and works on it; the messages at these places fail, and with them all later ones of their originator. */
  | { do: 'work'; lane: number; max: number; fail: number[]; wait: number }
  | { do: 'giveBack'; lane: number; max: number }
  | { do: 'crash'; lane: number; max: number }
  | { do: 'delay'; originator: number; wait: number }
  | { do: 'time'; passes: number };

const max = fc.integer({ min: 1, max: 6 });
const lane = fc.integer({ min: 0, max: LANES - 1 });
const originator = fc.integer({ min: 0, max: ORIGINATORS - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('append' as const), originators: fc.array(originator, { minLength: 1, maxLength: 5 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('work' as const),
      lane,
      max,
      fail: fc.array(fc.nat(5), { maxLength: 2 }),
      wait: fc.constantFrom(0, 10, 30),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('giveBack' as const), lane, max }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), lane, max }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delay' as const), originator, wait: fc.constantFrom(5, 20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('time' as const), passes: fc.constantFrom(5, 20, 40) }) },
);

/** Whatever fails, waits, comes back or crashes: every originator's messages are worked off in the order in which they entered, each once. */
export function orderProperty(under: BackendUnderTest): void {
  test(`queue: ${under.name}: order per originator under holds, retries, delays and restarts`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => walk(under, steps)),
      { numRuns: under.slow ? 6 : 40, seed: 20_251 },
    );
  });
}

async function walk(under: BackendUnderTest, steps: Step[]): Promise<void> {
  let now = 1_000_000;
  const running = await under.start({ lanes: LANES, now: () => now });
  try {
    const tenantId = newId();
    const originators = Array.from({ length: ORIGINATORS }, () => device());
    const entered = originators.map((): string[] => []);
    const worked = originators.map((): string[] => []);
    /** Delayed messages enter when they are due; which ones those are is not ours to order, only that none is lost. */
    const delayed = new Set<string>();
    let n = 0;

    const work = async (laneIndex: number, most: number, fail: number[], wait: number): Promise<boolean> => {
      const batch = await takeNow(running.backend, laneIndex, most);
      if (!batch) return false;
      assert.ok(batch.messages.length > 0);
      const failed = new Set<string>();
      await commit(running.backend, (unit) => {
        unit.done.push(batch);
        for (const [index, entry] of batch.messages.entries()) {
          assert.equal(laneOf(entry.originator.id, LANES), laneIndex);
          const who = originators.findIndex((candidate) => candidate.id === entry.originator.id);
          if (fail.includes(index)) failed.add(entry.originator.id);
          if (failed.has(entry.originator.id))
            unit.held.push({ message: withChanges(entry, { attempts: entry.attempts + 1 }), notBefore: now + wait });
          else {
            worked[who]!.push(entry.data);
            unit.count(tenantId, tenantId, 'messages.stored');
          }
        }
      });
      return true;
    };

    for (const move of steps) {
      if (move.do === 'append') {
        await commit(running.backend, (unit) => {
          for (const who of move.originators) {
            const data = String(n++);
            entered[who]!.push(data);
            unit.messages.push(message(tenantId, originators[who]!, data));
            unit.count(tenantId, tenantId, 'messages.created');
          }
        });
      } else if (move.do === 'work') await work(move.lane, move.max, move.fail, move.wait);
      else if (move.do === 'giveBack') {
        const batch = await takeNow(running.backend, move.lane, move.max);
        if (batch) running.backend.queue.giveBack(batch);
      } else if (move.do === 'crash') {
        await takeNow(running.backend, move.lane, move.max);
        await running.restart();
      } else if (move.do === 'delay') {
        const data = `delayed ${n++}`;
        delayed.add(data);
        await commit(running.backend, (unit) => {
          unit.delayed.push({ message: message(tenantId, originators[move.originator]!, data), dueAt: now + move.wait });
          unit.count(tenantId, tenantId, 'messages.created');
        });
      } else now += move.passes;
      const { messages } = await running.backend.store.ledger(tenantId, tenantId);
      assert.equal(messages.created, messages.stored + messages.inFlight, 'the ledger adds up at every step');
    }

    now += 1_000_000;
    await running.restart(); // wakes what waits for the clock
    for (let idle = 0; idle < 3; ) {
      let any = false;
      for (let index = 0; index < LANES; index++) any = (await work(index, 7, [], 0)) || any;
      const { messages } = await running.backend.store.ledger(tenantId, tenantId);
      if (!any && messages.inFlight === 0) break;
      idle = any ? 0 : idle + 1;
      if (!any) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(
      worked.map((list) => list.filter((data) => !delayed.has(data))),
      entered,
    );
    assert.equal(worked.flat().length, n, 'each message once');
  } finally {
    await running.stop();
  }
}
