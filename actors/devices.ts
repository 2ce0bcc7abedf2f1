import { type ActorRefFrom, createActor } from 'xstate';
import type { Control } from '#engine/control.ts';
import { newId } from '#engine/id.ts';
import type { KeyValue, Value } from '#engine/json.ts';
import { createMessage, type EntityRef } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import type { Attribute } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import { type DeviceReport, type DeviceTimes, deviceMachine } from './device.ts';

interface Entry {
  readonly tenantId: string;
  readonly ref: EntityRef;
  readonly times: DeviceTimes;
  readonly actor: ActorRefFrom<typeof deviceMachine>;
  active: boolean;
  /** `lastActivityTime` as it is stored: the difference is written now and then, not per message. */
  storedActivity: number;
}

export interface DevicesOptions {
  readonly backend: Backend;
  readonly inactivityMs: number;
  readonly now: () => number;
  readonly log: { error(fields: object, text: string): void };
}

const STATE_KEYS = ['active', 'lastConnectTime', 'lastActivityTime', 'lastDisconnectTime', 'inactivityAlarmTime', 'inactivityTimeout'];
const FLUSH_MS = 60_000;
/** Silent for this many time-outs: the actor is let go; the next message brings it back. */
const PASSIVE_AFTER = 2;

const numberOf = (attribute: Attribute | undefined): number => (attribute?.value.type === 'LONG' ? Number(attribute.value.value) : 0);

/** The devices that are awake in this process, created on their first message. */
export function createDevices({
  backend,
  inactivityMs,
  now,
  log,
}: DevicesOptions): Control['devices'] & { start(): void; stop(): Promise<void>; count(): number } {
  const entries = new Map<string, Entry>();
  const waking = new Map<string, Promise<Entry | null>>();
  let sweepTimer: NodeJS.Timeout | undefined;
  let lastFlush = now();
  let pending: Promise<unknown> = Promise.resolve();
  let stopped = false;

  const failed = (cause: unknown) => log.error({ err: cause }, 'device state not stored');
  const background = (work: Work) => {
    if (!work.isEmpty) pending = Promise.allSettled([pending, backend.commit(work).catch(failed)]);
  };

  const attribute = (work: Work, entry: Entry, key: string, value: Value, at: number) =>
    work.attributes.push({ tenantId: entry.tenantId, entity: entry.ref, scope: 'SERVER_SCOPE', key, value, lastUpdateTs: at });

  async function report(entry: Entry, event: DeviceReport, active: boolean): Promise<void> {
    const at = now();
    const { times } = entry;
    const device = await backend.store.doc('DEVICE', entry.tenantId, entry.ref.id);
    if (!device) return forget(entry);
    const work = new Work();
    const state: Record<DeviceReport, readonly KeyValue[]> = {
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
    background(work);
  }

  async function wake(tenantId: string, deviceId: string): Promise<Entry | null> {
    const ref: EntityRef = { entityType: 'DEVICE', id: deviceId };
    const stored = new Map((await backend.store.attributes(tenantId, ref, 'SERVER_SCOPE', STATE_KEYS)).map((found) => [found.key, found]));
    if (stopped) return null;
    const times: DeviceTimes = {
      lastConnectTime: numberOf(stored.get('lastConnectTime')),
      lastActivityTime: numberOf(stored.get('lastActivityTime')),
      lastDisconnectTime: numberOf(stored.get('lastDisconnectTime')),
      lastInactivityAlarmTime: numberOf(stored.get('inactivityAlarmTime')),
      inactivityTimeout: numberOf(stored.get('inactivityTimeout')) || inactivityMs,
    };
    const active = stored.get('active')?.value.value === true;
    const actor = createActor(deviceMachine, {
      input: {
        tenantId,
        deviceId,
        times,
        active,
        report: (event, isActive) => {
          entry.active = isActive;
          report(entry, event, isActive).catch(failed);
        },
      },
    });
    const entry: Entry = { tenantId, ref, times, actor, active, storedActivity: times.lastActivityTime };
    entries.set(deviceId, entry);
    actor.start();
    return entry;
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
    entry.actor.stop();
    entries.delete(entry.ref.id);
  }

  /** At the deadline the attribute decides once more, so that a longer time-out set meanwhile holds. */
  async function silence(entry: Entry): Promise<void> {
    const [timeout] = await backend.store.attributes(entry.tenantId, entry.ref, 'SERVER_SCOPE', ['inactivityTimeout']);
    entry.times.inactivityTimeout = numberOf(timeout) || inactivityMs;
    if (entry.active && now() - entry.times.lastActivityTime >= entry.times.inactivityTimeout) entry.actor.send({ type: 'SILENT', at: now() });
  }

  function flush(): void {
    lastFlush = now();
    const work = new Work();
    for (const entry of entries.values()) {
      if (entry.times.lastActivityTime === entry.storedActivity) continue;
      entry.storedActivity = entry.times.lastActivityTime;
      attribute(work, entry, 'lastActivityTime', { type: 'LONG', value: entry.storedActivity }, lastFlush);
    }
    background(work);
  }

  function sweep(): void {
    const at = now();
    for (const entry of entries.values()) {
      const silentMs = at - entry.times.lastActivityTime;
      if (entry.active && silentMs >= entry.times.inactivityTimeout) silence(entry).catch(failed);
      else if (!entry.active && silentMs >= PASSIVE_AFTER * entry.times.inactivityTimeout) forget(entry);
    }
    if (at - lastFlush >= FLUSH_MS) flush();
  }

  /** Devices that were active when the process ended must still become inactive. */
  async function restore(): Promise<void> {
    for await (const device of backend.store.everyDoc('DEVICE')) {
      if (stopped) return;
      const [active] = await backend.store.attributes(device.tenantId, { entityType: 'DEVICE', id: device.id }, 'SERVER_SCOPE', ['active']);
      if (active?.value.value === true) await awake(device.tenantId, device.id);
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
      else
        awake(tenantId, deviceId).then((found) => {
          if (!found) return;
          if (found.active) found.times.lastActivityTime = now();
          else found.actor.send({ type: 'SPOKE', at: now() });
        }, failed);
    },
    connected(tenantId, deviceId) {
      awake(tenantId, deviceId).then((entry) => entry?.actor.send({ type: 'CONNECTED', at: now() }), failed);
    },
    disconnected(tenantId, deviceId) {
      awake(tenantId, deviceId).then((entry) => entry?.actor.send({ type: 'DISCONNECTED', at: now() }), failed);
    },
    start() {
      sweepTimer = setInterval(sweep, Math.min(1000, Math.max(50, inactivityMs / 10)));
      restore().catch(failed);
    },
    async stop() {
      stopped = true;
      clearInterval(sweepTimer);
      unsubscribe();
      flush();
      await pending;
      for (const entry of [...entries.values()]) forget(entry);
    },
    count: () => entries.size,
  };
}
