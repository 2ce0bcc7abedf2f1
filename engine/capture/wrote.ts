import { type KeyValue, type Value, valueJson } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import type { AttributeRemoval, AttributeWrite, Work } from '#engine/work.ts';
import type { WroteRecord } from './records.ts';
import type { Marks, Step, Visited, Written } from './trace.ts';

/** Which part of a unit of work one step of one message has written. */

const MOST_WRITES = 20;
const MOST_KEYS = 100;
const VALUE_CHARS = 256;

type Lists = { readonly [K in keyof Marks]: readonly Work[K][number][] };
const KINDS = ['telemetry', 'telemetryRemovals', 'attributes', 'relations', 'docs', 'downlinks'] as const satisfies readonly (keyof Marks)[];

/** Of one originator in a visit: what was written of it, and its messages in their order. */
interface Share {
  readonly lists: Lists;
  readonly steps: readonly Step[];
}

/** Looked up by each message of a visit. */
const SHARES = new WeakMap<Visited, Map<string, Share>>();

export function wroteRecord(step: Step, work: Work): WroteRecord | undefined {
  if (step.written) return recordOf(between(work, step.written), step.message.originator);
  const { visited } = step;
  if (!visited.written) return undefined;
  const share = sharesOf(visited, work).get(step.message.originator.id);
  return share && recordOf(partOf(share, step), step.message.originator);
}

function between(work: Work, { from, to }: Written): Lists {
  return Object.fromEntries(KINDS.map((kind) => [kind, to[kind] > from[kind] ? work[kind].slice(from[kind], to[kind]) : []])) as unknown as Lists;
}

function sharesOf(visited: Visited, work: Work): Map<string, Share> {
  let shares = SHARES.get(visited);
  if (shares) return shares;
  shares = new Map<string, Share>();
  SHARES.set(visited, shares);
  for (const step of visited.steps) {
    const { id } = step.message.originator;
    const share = shares.get(id);
    if (share) (share.steps as Step[]).push(step);
    else shares.set(id, { lists: { telemetry: [], telemetryRemovals: [], attributes: [], relations: [], docs: [], downlinks: [] }, steps: [step] });
  }
  const all = between(work, visited.written!);
  for (const kind of KINDS) {
    for (const entry of all[kind]) {
      const share = shares.get(entityOf(kind, entry));
      if (share) (share.lists[kind] as unknown[]).push(entry);
    }
  }
  return shares;
}

/** Whose message of the batch it may be of. */
function entityOf(kind: keyof Marks, entry: unknown): string {
  if (kind === 'relations') {
    const change = entry as Work['relations'][number];
    return ('save' in change ? change.save : change.remove).from.id;
  }
  if (kind === 'docs') {
    const change = entry as Work['docs'][number];
    return 'doc' in change ? (change.doc.ref ?? change.doc.id) : change.remove.id;
  }
  return (entry as { entity: EntityRef }).entity.id;
}

/** A node works on its messages in order: of as many writes as messages of the originator, each has its own. Else they can not be told apart, and all are shown. */
function partOf({ lists, steps: own }: Share, step: Step): Lists {
  if (own.length <= 1) return lists;
  const place = own.indexOf(step);
  return Object.fromEntries(
    KINDS.map((kind) => {
      const all = lists[kind];
      const each = all.length / own.length;
      return [kind, Number.isInteger(each) ? all.slice(place * each, (place + 1) * each) : all];
    }),
  ) as unknown as Lists;
}

function recordOf(lists: Lists, originator: EntityRef): WroteRecord | undefined {
  const whose = (entity: EntityRef) => (entity.id === originator.id ? {} : { entityId: entity });
  const total = KINDS.reduce((sum, kind) => sum + lists[kind].length, 0);
  if (total === 0) return undefined;
  const shown = <T, R>(list: readonly T[], map: (entry: T) => R): R[] => list.slice(0, MOST_WRITES).map(map);
  const parts: [string, readonly unknown[]][] = [
    ['telemetry', shown(lists.telemetry, ({ entity, ts, values }) => ({ ...whose(entity), ts, values: plain(values) }))],
    ['attributes', shown(lists.attributes, (write) => ({ ...whose(write.entity), scope: write.scope, ...attributePart(write) }))],
    ['removedTelemetry', shown(lists.telemetryRemovals, ({ entity, keys }) => ({ ...whose(entity), keys: keys.slice(0, MOST_KEYS) }))],
    [
      'relations',
      shown(lists.relations, (change) => {
        const saved = 'save' in change;
        const { from, to, type } = saved ? change.save : change.remove;
        return { saved, from, to, type };
      }),
    ],
    [
      'entities',
      shown(lists.docs, (change) => {
        if ('remove' in change) return { entityType: change.remove.collection, id: change.remove.id, removed: true };
        const { collection, id, name, state } = change.doc;
        return { entityType: collection, id, name, ...(state ? { state } : {}) };
      }),
    ],
    ['downlinks', shown(lists.downlinks, ({ id, integrationId }) => ({ id, integrationId }))],
  ];
  const more = KINDS.reduce((sum, kind) => sum + Math.max(0, lists[kind].length - MOST_WRITES), 0);
  return { ...Object.fromEntries(parts.filter(([, list]) => list.length > 0)), ...(more > 0 ? { more } : {}) };
}

function attributePart(write: AttributeWrite | AttributeRemoval): object {
  return 'keys' in write ? { removed: write.keys.slice(0, MOST_KEYS) } : { values: plain([[write.key, write.value]]) };
}

function plain(values: readonly KeyValue[]): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [key, value] of values.slice(0, MOST_KEYS)) {
    Object.defineProperty(shown, key, { value: plainValue(value), enumerable: true, configurable: true, writable: true });
  }
  return shown;
}

/** JSON as it is kept has no 64-bit integers: those beyond 2^53 are shown as text. */
function plainValue(value: Value): unknown {
  if (typeof value.value === 'bigint') return String(value.value);
  if (value.type === 'JSON') return cutText(valueJson(value));
  return typeof value.value === 'string' ? cutText(value.value) : value.value;
}

const cutText = (text: string): string => (text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS)}…` : text);
