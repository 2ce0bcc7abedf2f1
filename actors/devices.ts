import { type ActorRefFrom, createActor } from 'xstate';
import type { Lease } from '#engine/cluster.ts';
import type { Control, DeviceEventType } from '#engine/control.ts';
import { Fenced, Rejected } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { KeyValue, Value } from '#engine/json.ts';
import { createMessage, type EntityRef } from '#engine/message.ts';
import { type Backend, laneOf } from '#engine/queue.ts';
import type { Attribute } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import { type DeviceEvent, type DeviceTimes, deviceMachine } from './device.ts';
import { createRestorer } from './device-restore.ts';
import { createDeviceWords, type DeviceWord } from './device-words.ts';
import type { LaneFollower, System } from './system.ts';

interface Entry {
  readonly tenantId: string;
  readonly ref: EntityRef;
  readonly times: DeviceTimes;
  /** Only while there is something to tell it: what it knows is in `times` and `active`, and an actor at rest takes 3 KB. */
  actor: ActorRefFrom<typeof deviceMachine> | null;
  /** When it was told something last. */
  toldAt: number;
  active: boolean;
  /** `lastActivityTime` as it is stored: the difference is written now and then, not per message. */
  storedActivity: number;
  /** Resolves when what its actor reported last is durable. */
  reported: Promise<void>;
}

export interface DevicesOptions {
  readonly backend: Backend;
  /** A device lives where its lane is worked. */
  readonly system: Pick<System, 'leaseOf'>;
  readonly inactivityMs: number;
  readonly now: () => number;
  readonly log: { error(fields: object, text: string): void };
}

const STATE_KEYS = ['active', 'lastConnectTime', 'lastActivityTime', 'lastDisconnectTime', 'inactivityAlarmTime', 'inactivityTimeout'];
const FLUSH_MS = 60_000;
/** So long after the last thing it was told an actor is let go, until there is something new. */
const REST_AFTER_MS = 2000;
/** Silent for this many time-outs: the actor is let go; the next message brings it back. */
const PASSIVE_AFTER = 2;

/** The same again changes nothing, nor does what is older than what is known. */
function isOld(times: DeviceTimes, event: DeviceEventType, at: number): boolean {
  if (event === 'CONNECT_EVENT') return at <= times.lastConnectTime;
  if (event === 'DISCONNECT_EVENT') return at <= times.lastDisconnectTime;
  if (event === 'ACTIVITY_EVENT') return at <= times.lastActivityTime;
  return at <= Math.max(times.lastInactivityAlarmTime, times.lastActivityTime);
}

const numberOf = (attribute: Attribute | undefined): number => (attribute?.value.type === 'LONG' ? Number(attribute.value.value) : 0);

export type Devices = Control['devices'] &
  LaneFollower & {
    start(): void;
    stop(): Promise<void>;
    count(): number;
  };

/** The devices that are awake in this process, created on their first message. */
export function createDevices({ backend, system, inactivityMs, now, log }: DevicesOptions): Devices {
  const { cluster, queue } = backend;
  const entries = new Map<string, Entry>();
  const waking = new Map<string, Promise<Entry | null>>();
  let sweepTimer: NodeJS.Timeout | undefined;
  let lastFlush = now();
  let pending: Promise<unknown> = Promise.resolve();
  let stopped = false;

  /** Under what this device's state is written. Null: nobody else could write it. */
  const leaseOf = (deviceId: string): Lease | null => (cluster.shared ? system.leaseOf(deviceId) : null);
  const isOurs = (deviceId: string): boolean => !cluster.shared || system.leaseOf(deviceId) !== null;
  const words = cluster.shared ? createDeviceWords({ cluster, lanes: queue.lanes, heard: (...word) => isOurs(word[1]) && heard(...word) }) : null;

  const failed = (cause: unknown) => {
    // Whoever has the lane by now has read what is stored, and goes on from there.
    if (!(cause instanceof Fenced)) log.error({ err: cause }, 'device state not stored');
  };
  const commit = (work: Work): Promise<void> => {
    const committing = backend.commit(work);
    pending = Promise.allSettled([pending, committing]);
    return committing;
  };
  const background = (work: Work) => {
    if (!work.isEmpty) commit(work).catch(failed);
  };

  /** A unit of work of one lane. */
  const under = (lease: Lease | null): Work => {
    const work = new Work();
    if (lease) work.leases.push(lease);
    return work;
  };

  const attribute = (work: Work, entry: Entry, key: string, value: Value, at: number) =>
    work.attributes.push({ tenantId: entry.tenantId, entity: entry.ref, scope: 'SERVER_SCOPE', key, value, lastUpdateTs: at });

  async function report(entry: Entry, event: DeviceEventType, active: boolean): Promise<void> {
    const at = now();
    const { times } = entry;
    const device = await backend.store.doc('DEVICE', entry.tenantId, entry.ref.id);
    if (!device) return forget(entry);
    if (!isOurs(entry.ref.id)) return;
    const work = under(leaseOf(entry.ref.id));
    const state: Record<DeviceEventType, readonly KeyValue[]> = {
      ACTIVITY_EVENT: [
        ['active', { type: 'BOOLEAN', value: true }],
        ['lastActivityTime', { type: 'LONG', value: times.lastActivityTime }],
      ],
      INACTIVITY_EVENT: [
        ['active', { type: 'BOOLEAN', value: false }],
        ['lastActivityTime', { type: 'LONG', value: times.lastActivityTime }],
        ['inactivityAlarmTime', { type: 'LONG', value: times.lastInactivityAlarmTime }],
      ],
      CONNECT_EVENT: [['lastConnectTime', { type: 'LONG', value: times.lastConnectTime }]],
      DISCONNECT_EVENT: [['lastDisconnectTime', { type: 'LONG', value: times.lastDisconnectTime }]],
    };
    for (const [key, value] of state[event]) attribute(work, entry, key, value, at);
    entry.storedActivity = times.lastActivityTime;
    const metadata: Record<string, string> = { deviceName: device.name, deviceType: device.kind ?? '', scope: 'SERVER_SCOPE' };
    if (device.label) metadata['deviceLabel'] = device.label;
    const { lastConnectTime, lastActivityTime, lastDisconnectTime, lastInactivityAlarmTime, inactivityTimeout } = times;
    const body = { lastConnectTime, lastActivityTime, lastDisconnectTime, lastInactivityAlarmTime, inactivityTimeout };
    work.messages.push(
      createMessage(
        {
          tenantId: entry.tenantId,
          type: event,
          originator: entry.ref,
          customerId: device.customerId ?? null,
          metadata,
          data: JSON.stringify(event === 'CONNECT_EVENT' ? body : { active, ...body }),
        },
        newId,
        at,
      ),
    );
    work.count(entry.tenantId, entry.tenantId, 'messages.created');
    await commit(work);
  }

  async function wake(tenantId: string, deviceId: string): Promise<Entry | null> {
    const ref: EntityRef = { entityType: 'DEVICE', id: deviceId };
    const stored = new Map((await backend.store.attributes(tenantId, ref, 'SERVER_SCOPE', STATE_KEYS)).map((found) => [found.key, found]));
    if (stopped || !isOurs(deviceId)) return null;
    const times: DeviceTimes = {
      lastConnectTime: numberOf(stored.get('lastConnectTime')),
      lastActivityTime: numberOf(stored.get('lastActivityTime')),
      lastDisconnectTime: numberOf(stored.get('lastDisconnectTime')),
      lastInactivityAlarmTime: numberOf(stored.get('inactivityAlarmTime')),
      inactivityTimeout: numberOf(stored.get('inactivityTimeout')) || inactivityMs,
    };
    const active = stored.get('active')?.value.value === true;
    const entry: Entry = {
      ...{ tenantId, ref, times, active, actor: null, toldAt: 0 },
      ...{ storedActivity: times.lastActivityTime, reported: Promise.resolve() },
    };
    entries.set(deviceId, entry);
    return entry;
  }

  function send(entry: Entry, event: DeviceEvent): void {
    entry.toldAt = now();
    entry.actor ??= startActor(entry);
    entry.actor.send(event);
  }

  function startActor(entry: Entry): ActorRefFrom<typeof deviceMachine> {
    const { tenantId, ref, times, active } = entry;
    const actor = createActor(deviceMachine, {
      input: {
        ...{ tenantId, deviceId: ref.id, times, active },
        report: (event, isActive) => {
          entry.active = isActive;
          entry.reported = report(entry, event, isActive);
          entry.reported.catch(failed);
        },
      },
    });
    return actor.start();
  }

  function awake(tenantId: string, deviceId: string): Promise<Entry | null> {
    const entry = entries.get(deviceId);
    if (entry) return Promise.resolve(entry);
    let promise = waking.get(deviceId);
    if (!promise) {
      promise = wake(tenantId, deviceId).finally(() => waking.delete(deviceId));
      waking.set(deviceId, promise);
    }
    return promise;
  }

  function forget(entry: Entry): void {
    entry.actor?.stop();
    entries.delete(entry.ref.id);
  }

  /** At the deadline the attribute decides once more, so that a longer time-out set meanwhile holds. */
  async function silence(entry: Entry): Promise<void> {
    const [timeout] = await backend.store.attributes(entry.tenantId, entry.ref, 'SERVER_SCOPE', ['inactivityTimeout']);
    entry.times.inactivityTimeout = numberOf(timeout) || inactivityMs;
    if (entry.active && now() - entry.times.lastActivityTime >= entry.times.inactivityTimeout) send(entry, { type: 'SILENT', at: now() });
  }

  /** Of one lane, or of all. */
  function flush(lane: number | null = null): void {
    const at = now();
    if (lane === null) lastFlush = at;
    const works = new Map<string, Work>();
    for (const entry of entries.values()) {
      if (entry.times.lastActivityTime === entry.storedActivity || (lane !== null && laneOf(entry.ref.id, queue.lanes) !== lane)) continue;
      entry.storedActivity = entry.times.lastActivityTime;
      const lease = leaseOf(entry.ref.id);
      // One for each lane: that one of them was taken from us says nothing of the others.
      const work = works.get(lease?.name ?? '') ?? under(lease);
      works.set(lease?.name ?? '', work);
      attribute(work, entry, 'lastActivityTime', { type: 'LONG', value: entry.storedActivity }, at);
    }
    for (const work of works.values()) background(work);
  }

  function sweep(): void {
    const at = now();
    for (const entry of entries.values()) {
      if (!isOurs(entry.ref.id)) {
        // Woken while its lane was on its way to another process.
        forget(entry);
        continue;
      }
      if (entry.actor && at - entry.toldAt >= REST_AFTER_MS) {
        entry.actor.stop();
        entry.actor = null;
      }
      const silentMs = at - entry.times.lastActivityTime;
      if (entry.active && silentMs >= entry.times.inactivityTimeout) silence(entry).catch(failed);
      else if (!entry.active && silentMs >= PASSIVE_AFTER * entry.times.inactivityTimeout) forget(entry);
    }
    if (at - lastFlush >= FLUSH_MS) flush();
  }

  const restorer = createRestorer({ store: backend.store, lanes: queue.lanes, wake: awake, failed });

  function heard(tenantId: string, deviceId: string, word: DeviceWord): void {
    if (word === 'activity') spoke(tenantId, deviceId);
    else
      awake(tenantId, deviceId).then(
        (entry) => entry && send(entry, { type: word === 'connected' ? 'CONNECTED' : 'DISCONNECTED', at: now() }),
        failed,
      );
  }

  function spoke(tenantId: string, deviceId: string): void {
    awake(tenantId, deviceId).then((found) => {
      if (!found) return;
      if (found.active) found.times.lastActivityTime = now();
      else send(found, { type: 'SPOKE', at: now() });
    }, failed);
  }

  /** Here, or to the process that has the device's lane. */
  function hear(tenantId: string, deviceId: string, word: DeviceWord): void {
    if (isOurs(deviceId)) heard(tenantId, deviceId, word);
    else words?.tell(tenantId, deviceId, word);
  }

  async function observed(tenantId: string, deviceId: string, event: DeviceEventType, at: number): Promise<void> {
    if (!(await backend.store.doc('DEVICE', tenantId, deviceId))) throw new Rejected(`Device with id [${deviceId}] is not found`);
    const entry = await awake(tenantId, deviceId);
    // Its lane is on its way to another process, and the message with it: that one hears it again.
    if (!entry || isOld(entry.times, event, at)) return;
    try {
      await Promise.all(tell(entry, event, at));
    } catch (cause) {
      // What it took for known is not stored: it must not be old when it is said again.
      forget(entry);
      throw cause;
    }
  }

  /** Gives what must become durable. */
  function tell(entry: Entry, event: DeviceEventType, at: number): readonly Promise<void>[] {
    const { times } = entry;
    const told = (type: 'CONNECTED' | 'DISCONNECTED' | 'FOUND_SILENT' | 'SPOKE', when = at): Promise<void> => {
      send(entry, { type, at: when });
      return entry.reported;
    };
    const written = (key: string, value: number): Promise<void> => {
      const work = under(leaseOf(entry.ref.id));
      attribute(work, entry, key, { type: 'LONG', value }, now());
      return commit(work);
    };
    switch (event) {
      case 'CONNECT_EVENT': {
        const connected = told('CONNECTED');
        // It was said to be silent, yet has spoken within its time.
        const isAlive = !entry.active && times.lastActivityTime + times.inactivityTimeout > now();
        return isAlive ? [connected, told('SPOKE', times.lastActivityTime)] : [connected];
      }
      case 'DISCONNECT_EVENT':
        return [told('DISCONNECTED')];
      case 'INACTIVITY_EVENT':
        return [told('FOUND_SILENT')];
      case 'ACTIVITY_EVENT':
        if (entry.active) {
          times.lastActivityTime = at;
          entry.storedActivity = at;
          return [written('lastActivityTime', at)];
        }
        if (at > times.lastInactivityAlarmTime) return [told('SPOKE')];
        times.lastInactivityAlarmTime = 0;
        return [written('inactivityAlarmTime', 0), told('SPOKE')];
    }
  }

  const unsubscribe = backend.onChange((changes) => {
    for (const change of changes) {
      const entry = change.collection === 'DEVICE' && change.removed ? entries.get(change.id) : undefined;
      if (entry) forget(entry);
    }
  });

  return {
    activity(tenantId, deviceId) {
      const entry = entries.get(deviceId);
      if (entry?.active) entry.times.lastActivityTime = now();
      else hear(tenantId, deviceId, 'activity');
    },
    connected: (tenantId, deviceId) => hear(tenantId, deviceId, 'connected'),
    disconnected: (tenantId, deviceId) => hear(tenantId, deviceId, 'disconnected'),
    observed,

    granted(lane) {
      if (!cluster.shared) return;
      restorer.add(lane);
    },
    async revoked(lane) {
      if (!cluster.shared) return;
      restorer.remove(lane);
      flush(lane);
      for (const entry of [...entries.values()]) if (laneOf(entry.ref.id, queue.lanes) === lane) forget(entry);
      await pending;
    },

    start() {
      sweepTimer = setInterval(sweep, Math.min(1000, Math.max(50, inactivityMs / 10)));
      restorer.start(!cluster.shared);
    },
    async stop() {
      stopped = true;
      restorer.stop();
      clearInterval(sweepTimer);
      unsubscribe();
      words?.close();
      flush();
      await pending;
      for (const entry of [...entries.values()]) forget(entry);
    },
    count: () => entries.size,
  };
}
