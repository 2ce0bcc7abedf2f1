import { Busy, Rejected } from '#engine/errors.ts';
import type { Script } from '#engine/script.ts';
import type { ServiceName, Services } from '#engine/services.ts';

/** Services that fail, are late, or say what they may say by their types and nobody expects. */

type Method = (...args: unknown[]) => unknown;
export interface Fault {
  readonly name: string;
  /** In place of the method. */
  readonly act: Method;
}

const failing = (name: string, make: () => Error): Fault => ({
  name,
  act() {
    throw make();
  },
});

/** Those of ours that pass by themselves, those that do not, and one without a text. */
export const FAILURES: readonly Fault[] = [
  failing('is busy', () => new Busy('The store is busy')),
  failing('refuses', () => new Rejected('The entity is gone')),
  failing('fails without a text', () => new Error('')),
];
export const BUG = failing('has a bug', () => new TypeError('a bug of the service'));
export const SILENCE: Fault = { name: 'never answers', act: () => new Promise(() => {}) };

/** What a node asks of these goes without saying. */
const SPARED: ReadonlySet<string> = new Set(['messages.newId', 'messages.now', 'scripts.check']);

/** Of these the answer is not waited for. */
const AT_ONCE =
  /^(attributes\.(save|remove|notifyDevice)|telemetry\.save|relations\.(save|remove)|messages|kept\.(release|remind)|memory\.set|rest|rpc\.(reply|complete)|chains\.exists|groups\.create|log)/;
export const isAwaited = (method: string): boolean => !AT_ONCE.test(method);

/** @param faultOf what `service.method` does instead, from now on; null: what it always does. */
export function faulty(services: Services, faultOf: (name: string) => Fault | null): Services {
  return new Proxy(services, {
    get(all, service: ServiceName) {
      return new Proxy(all[service], {
        get(methods, method: string) {
          const real = (methods as unknown as Record<string, Method>)[method]!;
          const name = `${service}.${method}`;
          const fault = SPARED.has(name) ? null : faultOf(name);
          if (!fault) return real.bind(methods);
          return (...args: unknown[]): unknown => {
            try {
              return fault.act(...args);
            } catch (cause) {
              if (isAwaited(name)) return Promise.reject(cause);
              throw cause;
            }
          };
        },
      });
    },
  });
}

const ID = 'ffffffff-0000-1000-8000-000000000001';
const ref = { entityType: 'DEVICE', id: ID } as const;
const doc = (body: Record<string, unknown>) => ({
  ...{ collection: 'DEVICE', id: ID, tenantId: ID, createdTime: 0, version: 1, name: '', label: null, kind: null, ref: null },
  ...{ state: null, customerId: null, body },
});
const DOCS = [
  doc({}),
  doc({ additionalInfo: 'text', deviceProfileId: 'text', name: 5, title: [], email: {}, ownerId: null, members: 'x', configuration: null }),
];
const VALUES = [
  { type: 'JSON', value: '{no json' },
  { type: 'STRING', value: '' },
  { type: 'LONG', value: 9223372036854775807n },
  { type: 'DOUBLE', value: Number.NaN },
  { type: 'BOOLEAN', value: false },
];
const point = (value: unknown) => ({ ts: 0, value });
const points = (keys: unknown, of: (key: string) => unknown) => new Map((keys as string[]).map((key) => [key, of(key)]));
const alarm = (details: unknown) => ({
  ...{ id: ID, tenantId: ID, createdTime: 0, customerId: ID, type: '', originator: ref, severity: 'MAJOR', acknowledged: false, cleared: false },
  ...{ assigneeId: ID, startTs: 0, endTs: 0, ackTs: 0, clearTs: 0, assignTs: 0, details, propagate: true, propagateToOwner: true },
  ...{ propagateToTenant: true, propagateRelationTypes: [''] },
});
/** What scripts of a kind may return. */
const RETURNED: Readonly<Record<string, readonly (string | undefined)[]>> = {
  filter: ['true', 'false'],
  // A script that itself says Failure gives no reason, and none is asked for.
  switch: ['""', '[]', '["a","a"]', '["Success","b"]'],
  log: ['""'],
  transform: [
    '{}',
    '[]',
    '[{},[],null,5]',
    '{"msg":5,"metadata":"x","msgType":{}}',
    '[{"msg":null}]',
    '{"msg":"no json"}',
    '[[[]]]',
    '{"metadata":{"a":null}}',
  ],
  details: [undefined, 'null', '5', '"x"', '[]', 'true', '{}', '{"a":null}'],
};

/** Answers by method, each given as a function of the arguments. */
const NONSENSE: Readonly<Record<string, readonly Method[]>> = {
  'attributes.find': [
    async () => [],
    ...VALUES.map(
      (value) => async (_: unknown, __: unknown, keys: unknown) => ((keys ?? ['x']) as string[]).map((key) => ({ key, value, lastUpdateTs: 0 })),
    ),
    async () => [{ key: 'another', value: VALUES[1], lastUpdateTs: -1 }],
  ],
  'telemetry.latest': [async () => new Map(), ...VALUES.map((value) => async (_: unknown, keys: unknown) => points(keys, () => point(value)))],
  'telemetry.history': [
    async () => new Map(),
    async (_, query) => points((query as { keys: string[] }).keys, () => []),
    async (_, query) => points((query as { keys: string[] }).keys, () => VALUES.map(point)),
  ],
  'alarms.active': [async () => null, ...[null, 'text', [1], 5].map((details) => async () => alarm(details))],
  'alarms.byId': [async () => null, async () => alarm('text')],
  'alarms.list': [async () => [], async () => [alarm(null), alarm({})]],
  'alarms.toJson': [async () => '{}', async () => 'no json', async () => ''],
  'entities.find': DOCS.map((answer) => async () => answer),
  'entities.byName': DOCS.map((answer) => async () => answer),
  'entities.summary': [async () => null, async () => ({ ref, name: '', type: '', label: null, profileId: null, customerId: null })],
  'entities.customerOf': [async () => null, async () => ID],
  'inventory.create': [async () => doc({})],
  'inventory.assign': [async () => false],
  'inventory.unassign': [async () => false],
  'views.of': [
    async () => [],
    async () => [doc({}), doc({ keys: 'text', entityId: null, startTimeMs: 'x', endTimeMs: {} }), doc({ keys: { attributes: 5 } })],
  ],
  'edges.of': [async () => [], async () => ['no id']],
  'credentials.ofDevice': [
    async () => null,
    async () => ({ type: '', id: '', value: null }),
    async () => ({ type: 'X509_CERTIFICATE', id: '', value: '{' }),
  ],
  'relations.find': [async () => [], async () => [{ from: ref, to: ref, type: '', typeGroup: '', additionalInfo: null }]],
  'relations.search': [async () => [], async () => [ref, ref]],
  'groups.ownerOf': [async () => null, async () => ref],
  'groups.find': DOCS.map((answer) => async () => answer),
  'groups.byName': DOCS.map((answer) => async () => answer),
  'groups.members': [async () => [], async () => [ref, ref]],
  'groups.containing': [async () => [], async () => [doc({})]],
  'groups.customer': DOCS.map((answer) => async () => answer),
  'scripts.run': [
    ...Array.from(
      { length: 8 },
      (_, index): Method =>
        async (script, calls) => {
          const answers = RETURNED[(script as Script).kind] ?? [];
          return (calls as unknown[]).map(() => ({ ok: true, json: answers[index % answers.length] }));
        },
    ),
    ...(['timeout', 'unavailable', 'shape'] as const).map(
      (reason): Method =>
        async (_, calls) =>
          (calls as unknown[]).map(() => ({ ok: false, fault: { reason, message: `Script: ${reason}` } })),
    ),
  ],
  'downlinks.push': [async () => undefined],
  'rpc.call': [
    ...['NO_ACTIVE_CONNECTION', 'TIMEOUT', 'FAILED'].map((error) => async () => ({ ok: false, error })),
    ...['no json', '', '[]', null].map((data) => async () => ({ ok: true, data })),
  ],
  'chains.exists': [() => false],
  'chains.defaultOf': [async () => null, async () => ID],
  'kept.list': [async () => []],
  'kept.count': [async () => 1e9, async () => -1],
  'memory.get': ['text', 5, true, [], {}, [null], { last: 'x', due: {} }, { value: null, ts: 'x' }].map((value) => async () => value),
  'settings.find': [async () => null, async () => ({}), async () => ({ smtpHost: {}, deliveryMethodsConfigs: 5 })],
};

export const nonsenseOf = (name: string): Fault[] => (NONSENSE[name] ?? []).map((act, index) => ({ name: `answers nonsense ${index + 1}`, act }));
