import { laneOf } from '#engine/queue.ts';
import type { Doc, Store } from '#engine/store.ts';

const RETRY_MS = 1000;
const AT_ONCE = 32;

export interface RestoreDeps {
  readonly store: Pick<Store, 'attributes' | 'everyDoc'>;
  readonly lanes: number;
  wake(tenantId: string, deviceId: string): Promise<unknown>;
  failed(cause: unknown): void;
}

/** Wakes devices that were active when the process ended, or when their lane was another's: they must still become inactive. */
export interface Restorer {
  /** A lane that is ours from now on. */
  add(lane: number): void;
  remove(lane: number): void;
  /** Begins with the lanes that were added, or with all that there are. */
  start(all: boolean): void;
  stop(): void;
}

export function createRestorer({ store, lanes, wake, failed }: RestoreDeps): Restorer {
  /** null: every lane. */
  let open: Set<number> | null = new Set();
  let state: 'new' | 'started' | 'stopped' = 'new';
  let running = false;
  const hasWork = (): boolean => open === null || open.size > 0;

  function restore(): void {
    if (state !== 'started' || running) return;
    running = true;
    restoreAll()
      .catch(failed)
      .finally(() => {
        running = false;
        if (hasWork()) setTimeout(restore, RETRY_MS).unref();
      });
  }

  async function wakeActive({ tenantId, id }: Doc): Promise<void> {
    const [active] = await store.attributes(tenantId, { entityType: 'DEVICE', id }, 'SERVER_SCOPE', ['active']);
    if (active?.value.value === true) await wake(tenantId, id);
  }

  /** Once through all devices for as many lanes as were added by then. */
  async function restoreAll(): Promise<void> {
    while (hasWork()) {
      const wanted: ReadonlySet<number> | null = open;
      open = new Set();
      try {
        let reading: Promise<void>[] = [];
        for await (const device of store.everyDoc('DEVICE')) {
          if (state === 'stopped') return;
          if (wanted !== null && !wanted.has(laneOf(device.id, lanes))) continue;
          if (reading.push(wakeActive(device)) < AT_ONCE) continue;
          await Promise.all(reading);
          reading = [];
        }
        await Promise.all(reading);
      } catch (cause) {
        open = wanted === null ? null : new Set([...wanted, ...open]);
        throw cause;
      }
    }
  }

  return {
    add(lane) {
      open?.add(lane);
      restore();
    },
    remove: (lane) => void open?.delete(lane),
    start(all) {
      state = 'started';
      if (all) open = null;
      restore();
    },
    stop() {
      state = 'stopped';
    },
  };
}
