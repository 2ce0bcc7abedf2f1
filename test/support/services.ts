import { errorText } from '#engine/errors.ts';
import type { KeyValue, Value } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import type { AnyNode, Emission, NodeInfo, Outcome, StartContext } from '#engine/node.ts';
import type { Script, ScriptArgs, ScriptResult } from '#engine/script.ts';
import type { Alarm, DeviceCredentials, Services } from '#engine/services.ts';
import type { Doc, Point, Relation } from '#engine/store.ts';
import { mapConfiguration } from '#engine/walk/mapping.ts';
import { type Groups, groupsOf } from './groups.ts';
import { inventory } from './inventory.ts';
import { TENANT } from './message.ts';

/** What a test lets the world hold before the node works. Keys are ids, or `id SCOPE` of attributes. */
export interface World extends Groups {
  readonly attributes?: Record<string, readonly KeyValue[]>;
  readonly latest?: Record<string, Record<string, { ts: number; value: Value }>>;
  readonly alarms?: Alarm[];
  readonly docs?: Record<string, Doc>;
  readonly customers?: Record<string, string>;
  readonly related?: Services['relations']['search'];
  /** By device id. */
  readonly credentials?: Record<string, DeviceCredentials>;
  readonly history?: Services['telemetry']['history'];
  readonly relations?: readonly Relation[];
  /** Ids of edges that everything is on. */
  readonly edges?: readonly string[];
  readonly report?: Services['deviceState']['report'];
  readonly push?: Services['downlinks']['push'];
  readonly call?: Services['rpc']['call'];
  readonly chains?: Partial<Services['chains']>;
  /** Under `nodeId key`. */
  readonly kept?: Record<string, Message[]>;
  readonly memory?: Record<string, unknown>;
  readonly settings?: Record<string, Record<string, unknown>>;
}

export const NOW = 1_800_000_000_000;
export const NODE: NodeInfo = {
  id: 'aaaaaaaa-0000-1000-8000-000000000001',
  name: 'node under test',
  chainId: 'aaaaaaaa-0000-1000-8000-000000000002',
  chainName: 'chain',
  tenantId: TENANT,
  queueName: null,
  serviceId: 'service-1',
};

/** Plain objects for nodes. Everything that a node does to the world is in `did`, in order; `runs` counts the crossings to the script host. */
export function services(world: World = {}) {
  const did: unknown[][] = [];
  let ids = 0;
  const counts = { runs: 0 };
  const alarms = [...(world.alarms ?? [])];
  const keep = (alarm: Alarm): Alarm => {
    const at = alarms.findIndex(({ id }) => id === alarm.id);
    if (at < 0) alarms.push(alarm);
    else alarms[at] = alarm;
    return alarm;
  };
  const newId = () => `bbbbbbbb-0000-1000-8000-${String(++ids).padStart(12, '0')}`;
  const kept = { ...world.kept };
  const memory: Record<string, unknown> = { ...world.memory };
  const docs: Record<string, Doc> = { ...world.docs };
  const all: Services = {
    snapshot: {
      attributes: (...asked) => all.attributes.find(...asked),
      latest: (...asked) => all.telemetry.latest(...asked),
    },
    kept: {
      list: async (nodeId, key) => kept[`${nodeId} ${key}`] ?? [],
      count: async (nodeId, key) =>
        Object.entries(kept).reduce(
          (sum, [at, held]) => sum + (at.startsWith(key === undefined ? `${nodeId} ` : `${nodeId} ${key}`) ? held.length : 0),
          0,
        ),
      release(nodeId, key, messages) {
        kept[`${nodeId} ${key}`] = (kept[`${nodeId} ${key}`] ?? []).filter((message) => !messages.includes(message));
        did.push(['release', key, messages.map(({ id }) => id)]);
      },
      remind: (_node, originator, key, at) => void did.push(['remind', originator.id, key, at]),
    },
    memory: {
      get: async (nodeId, key) => memory[`${nodeId} ${key}`] ?? null,
      set(nodeId, key, value) {
        memory[`${nodeId} ${key}`] = value;
        did.push(['remember', key, value]);
      },
    },
    credentials: { ofDevice: async (deviceId) => world.credentials?.[deviceId] ?? null },
    settings: { find: async (key) => world.settings?.[key] ?? null },
    attributes: {
      async find({ id }, scope, keys) {
        const found = world.attributes?.[`${id} ${scope}`] ?? [];
        return found.filter(([key]) => !keys || keys.includes(key)).map(([key, value]) => ({ key, value, lastUpdateTs: 1 }));
      },
      save: (entity, scope, values, ts) => void did.push(['save attributes', entity.id, scope, Object.fromEntries(values), ts]),
      remove: (entity, scope, keys) => void did.push(['remove attributes', entity.id, scope, keys]),
      notifyDevice: (deviceId, change) =>
        void did.push(['notify', deviceId, 'updated' in change ? change.updated.map(([key]) => key) : change.deleted]),
    },
    telemetry: {
      latest: async ({ id }, keys) => new Map<string, Point>(Object.entries(world.latest?.[id] ?? {}).filter(([key]) => keys.includes(key))),
      save: (entity, ts, values, options) => void did.push(['save telemetry', entity.id, ts, Object.fromEntries(values), options]),
      history: world.history ?? (async () => new Map()),
    },
    alarms: {
      active: async (originator, type) =>
        alarms.findLast((alarm) => alarm.originator.id === originator.id && alarm.type === type && !alarm.cleared) ?? null,
      hasNone: () => false,
      byId: async (id) => alarms.find((alarm) => alarm.id === id) ?? null,
      list: async ({ originator, createdFrom = 0 }) =>
        alarms.filter((alarm) => (!originator || alarm.originator.id === originator.id) && alarm.createdTime >= createdFrom),
      async create(fields) {
        const alarm: Alarm = {
          id: newId(),
          tenantId: TENANT,
          createdTime: NOW,
          acknowledged: false,
          cleared: false,
          assigneeId: null,
          ackTs: 0,
          clearTs: 0,
          assignTs: 0,
          ...fields,
        };
        did.push(['create alarm', alarm]);
        return keep(alarm);
      },
      async update(alarm) {
        did.push(['update alarm', alarm]);
        return keep(alarm);
      },
      async clear(alarm, clearTs, details) {
        did.push(['clear alarm', alarm.id, clearTs, details]);
        return keep({ ...alarm, cleared: true, clearTs, details });
      },
      toJson: async ({ id, type }) => JSON.stringify({ id, type }),
    },
    entities: {
      find: async ({ id }) => docs[id] ?? null,
      byName: async (type, name) => Object.values(docs).find((doc) => doc.collection === type && doc.name === name) ?? null,
      async summary(ref) {
        const doc = docs[ref.id];
        if (!doc) return null;
        const profile = (doc.body['deviceProfileId'] ?? doc.body['assetProfileId'] ?? null) as { id: string } | null;
        const { name, kind, label = null, customerId = null } = doc;
        return { ref, name, type: kind ?? '', label, profileId: profile?.id ?? null, customerId };
      },
      customerOf: async ({ id }) => world.customers?.[id] ?? null,
    },
    ...inventory(world, docs, did, NOW),
    groups: groupsOf(world, docs, did),
    scripts: {
      check: async ({ body }) => {
        return body.includes('((') ? { reason: 'compile', message: 'Unexpected end' } : null;
      },
      async run(script, calls) {
        counts.runs++;
        return calls.map((call) => evaluate(script, call));
      },
    },
    messages: {
      enqueue: ({ type, originator, data, metadata }) =>
        void did.push(['enqueue', { type, originator: originator.id, data: JSON.parse(data), metadata }]),
      newId,
      now: () => NOW,
    },
    downlinks: { push: world.push ?? (async (integrationId, message) => void did.push(['downlink', integrationId, message])) },
    rpc: {
      call: async (request) => {
        did.push(['call', request]);
        return world.call ? world.call(request) : { ok: true, data: null };
      },
      reply: (...answer) => void did.push(['rpc reply', ...answer]),
      complete: (...answer) => void did.push(['complete', ...answer]),
    },
    rest: { reply: (requestUUID, message) => void did.push(['rest reply', requestUUID, message.data]) },
    chains: { exists: () => true, defaultOf: async () => null, ...world.chains },
    log: { info: (text) => void did.push(['log', text]) },
  };
  return { ...all, did, counts };
}

/** The script engine in small: what it gives a node, without what keeps others safe. */
function evaluate({ kind, body, argNames }: Script, [data, metadata, type]: ScriptArgs): ScriptResult {
  const names = argNames ?? (kind === 'generator' ? ['prevMsg', 'prevMetadata', 'prevMsgType'] : ['msg', 'metadata', 'msgType']);
  try {
    return { ok: true, json: JSON.stringify(new Function(...names, body)(JSON.parse(String(data)), JSON.parse(metadata), type)) };
  } catch (cause) {
    return { ok: false, fault: { reason: 'thrown', message: errorText(cause) } };
  }
}

type Tick = Parameters<StartContext<never>['every']>[1];

export interface RunOptions {
  /** Over the node's defaults; `exact` takes the configuration as it is. */
  readonly config?: Record<string, unknown>;
  readonly exact?: unknown;
  readonly node?: Partial<NodeInfo>;
  readonly services?: ReturnType<typeof services>;
  readonly ticks?: { everyMs: number; tick: Tick }[];
}

/** Reads the configuration as ThingsBoard does and starts the node. @throws the reason why it is not usable. */
export async function start(definition: AnyNode, { config, exact, node, services: given = services(), ticks = [] }: RunOptions = {}) {
  const mapped = mapConfiguration(definition, exact ?? { ...definition.defaults, ...config });
  const info = { ...NODE, ...node };
  const every = (everyMs: number, tick: Tick) => void ticks.push({ everyMs, tick });
  const state = await definition.start?.({
    config: mapped,
    node: info,
    scripts: given.scripts,
    chains: given.chains,
    entities: given.entities,
    every,
  } as never);
  return { ...given, config: mapped, node: info, state };
}

/** Starts the node and gives it the messages as one batch; an error is the outcome of its message. */
export async function run(definition: AnyNode, messages: readonly Message[], options: RunOptions = {}): Promise<unknown[]> {
  const context = (await start(definition, options)) as never;
  const outcomes = definition.processBatch
    ? await definition.processBatch(messages, context)
    : await Promise.all(
        messages.map(async (message) => definition.process!(message, context)).map((outcome) => outcome.catch((cause: Error) => cause)),
      );
  return outcomes.map((outcome, index) => told(outcome, messages[index]!));
}

/** An outcome as tests compare it: where to, and what of the message changed. */
export function told(outcome: Outcome | Error, before: Message): unknown {
  if (outcome instanceof Error) return { to: 'Failure', error: outcome.message };
  if (typeof outcome === 'string') return outcome;
  if (Array.isArray(outcome)) return outcome.map((emission: Emission) => told(emission, before));
  if (!('to' in outcome) || !outcome.message) return outcome;
  const { message, ...rest } = outcome;
  const changes = Object.entries(message).filter(([key, value]) => value !== before[key as keyof Message]);
  return changes.length === 0 ? (Object.keys(rest).length === 1 ? rest.to : rest) : { ...rest, ...Object.fromEntries(changes) };
}
