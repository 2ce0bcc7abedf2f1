import { writeSync } from 'node:fs';
import type { EntityRef, Message } from '#engine/message.ts';
import { openSqliteBackend } from '#engine/store/sqlite.ts';
import { commit, message } from '#test/support/backend.ts';

/** The process that kill.test.ts kills: appends numbered messages, works them off in the same process, and prints a number when its append is durable. */
export const TENANT = '00000000-0000-1000-8000-000000000001';
export const OWNER = '00000000-0000-1000-8000-000000000002';
export const ENTITIES: readonly EntityRef[] = Array.from({ length: 8 }, (_, i) => ({
  entityType: 'DEVICE',
  id: `00000000-0000-1000-8000-00000000001${i}`,
}));

/** It keeps every other message, and ends those that it kept before. */
export const NODE = '00000000-0000-1000-8000-000000000003';

const PASSES_BEFORE_POINT = 40;

async function write(folder: string, from: number, point: string): Promise<void> {
  let passes = 0;
  const backend = await openSqliteBackend({
    folder,
    lanes: 4,
    onPoint: (name) => {
      if (name === point && ++passes > PASSES_BEFORE_POINT) process.kill(process.pid, 'SIGKILL');
    },
  });
  for (let lane = 0; lane < 4; lane++) void work(lane);

  async function work(lane: number): Promise<void> {
    for (;;) {
      const batch = (await backend.queue.take(lane, 64, new AbortController().signal))!;
      const key = String(lane);
      const kept = await backend.store.kept(TENANT, NODE, { key, max: 32 });
      await commit(backend, (unit) => {
        unit.done.push(batch);
        for (const { message: entry } of kept) unit.keptRemovals.push({ tenantId: TENANT, nodeId: NODE, key, messageId: entry.id });
        const [stays, ends] = [batch.messages.filter(isOdd), batch.messages.filter((entry) => !isOdd(entry))];
        for (const entry of stays) unit.kept.push({ message: entry, nodeId: NODE, kind: 'own', key, keptAt: 1000, attempts: 0, reason: null });
        for (const entry of [...ends, ...kept.map(({ message: of }) => of)]) {
          const n = Number(entry.data);
          unit.telemetry.push({
            tenantId: TENANT,
            entity: entry.originator,
            ts: n,
            values: [['n', { type: 'LONG', value: n }]],
            expiresAt: null,
            history: true,
            latest: true,
          });
          unit.count(TENANT, OWNER, 'messages.stored');
        }
      });
    }
  }

  for (let n = from; ; n += 4) {
    const numbers = [n, n + 1, n + 2, n + 3];
    await commit(backend, (unit) => {
      for (const each of numbers) unit.messages.push(message(TENANT, ENTITIES[(each * 5) % ENTITIES.length]!, String(each), { owner: OWNER }));
      unit.count(TENANT, OWNER, 'messages.created', numbers.length);
    });
    // At once: what this process still had in a buffer would be gone with it.
    writeSync(1, `${numbers.join(',')}\n`);
  }
}

const isOdd = ({ data }: Message): boolean => Number(data) % 2 === 1;

const [folder, from, point] = process.argv.slice(2);
if (process.argv[1] === new URL(import.meta.url).pathname) await write(folder!, Number(from), point ?? '');
