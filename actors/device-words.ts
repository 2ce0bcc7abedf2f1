import type { Cluster } from '#engine/cluster.ts';
import { laneOf } from '#engine/queue.ts';

export type DeviceWord = 'activity' | 'connected' | 'disconnected';

export interface DeviceWordsOptions {
  readonly cluster: Cluster;
  /** Of the whole queue. */
  readonly lanes: number;
  /** Words of other processes, and of this one once it has the device's lane. */
  readonly heard: (tenantId: string, deviceId: string, word: DeviceWord) => void;
}

interface Pending {
  readonly tenantId: string;
  /** In order; activity once. */
  readonly words: DeviceWord[];
}

type Told = readonly [tenantId: string, deviceId: string, words: readonly DeviceWord[]];

const TOPIC = 'devices';
const TELL_MS = 500;
/** Devices whose lane nobody has for the moment; the next word of a device is as good as the one that is dropped. */
const MOST_PENDING = 100_000;

/** What this process hears of devices whose lane another process works: told to all of them, of which one is it. A device that talks all the time costs one word in half a second. */
export function createDeviceWords({ cluster, lanes, heard }: DeviceWordsOptions): {
  tell(tenantId: string, deviceId: string, word: DeviceWord): void;
  close(): void;
} {
  let pending = new Map<string, Pending>();
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    timer = undefined;
    const told: Told[] = [];
    const all = pending;
    pending = new Map();
    for (const [deviceId, entry] of all) {
      const holder = cluster.holderOf('lane', String(laneOf(deviceId, lanes)));
      // Kept until somebody has the lane; it may move twice before anybody acts on it.
      if (!holder) pending.set(deviceId, entry);
      else if (holder.self) for (const word of entry.words) heard(entry.tenantId, deviceId, word);
      else told.push([entry.tenantId, deviceId, entry.words]);
    }
    if (told.length > 0) cluster.publish(TOPIC, told);
    if (pending.size > 0) arm();
  }

  function arm(): void {
    timer ??= setTimeout(flush, TELL_MS).unref();
  }

  const unsubscribe = cluster.subscribe(TOPIC, (data, from) => {
    if (from === cluster.id()) return;
    for (const [tenantId, deviceId, words] of data as readonly Told[]) {
      if (cluster.holderOf('lane', String(laneOf(deviceId, lanes)))?.self) for (const word of words) heard(tenantId, deviceId, word);
    }
  });

  return {
    tell(tenantId, deviceId, word) {
      const entry = pending.get(deviceId);
      if (!entry && pending.size >= MOST_PENDING) return;
      if (!entry) pending.set(deviceId, { tenantId, words: [word] });
      else if (word !== 'activity' || !entry.words.includes('activity')) entry.words.push(word);
      arm();
    },
    close() {
      unsubscribe();
      clearTimeout(timer);
      flush();
      clearTimeout(timer);
      pending.clear();
    },
  };
}
