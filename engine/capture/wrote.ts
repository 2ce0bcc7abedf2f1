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
  const part = { ...lists };
  for (const kind of KINDS) {
    const all = lists[kind];
    const each = all.length / own.length;
    if (each > 0 && Number.isInteger(each)) (part[kind] as unknown) = all.slice(place * each, (place + 1) * each);
  }
  return part;
}

function recordOf(lists: Lists, originator: EntityRef): WroteRecord | undefined {
  let total = 0;
  let more = 0;
  for (const kind of KINDS) {
    total += lists[kind].length;
    more += Math.max(0, lists[kind].length - MOST_WRITES);
  }
  if (total === 0) return undefined;
  const record: { -readonly [K in keyof WroteRecord]: WroteRecord[K] } = {};
  const whose = (entity: EntityRef) => (entity.id === originator.id ? {} : { entityId: entity });
  const { telemetry, attributes, telemetryRemovals, relations, docs, downlinks } = lists;
  if (telemetry.length > 0) record.telemetry = shown(telemetry, ({ entity, ts, values }) => ({ ...whose(entity), ts, values: plain(values) }));
  if (attributes.length > 0)
    record.attributes = shown(attributes, (write) => ({ ...whose(write.entity), scope: write.scope, ...attributePart(write) }));
  if (telemetryRemovals.length > 0)
    record.removedTelemetry = shown(telemetryRemovals, ({ entity, keys }) => ({ ...whose(entity), keys: keys.slice(0, MOST_KEYS) }));
  if (relations.length > 0) record.relations = shown(relations, relationPart);
  if (docs.length > 0) record.entities = shown(docs, entityPart);
  if (downlinks.length > 0) record.downlinks = shown(downlinks, ({ id, integrationId }) => ({ id, integrationId }));
  if (more > 0) record.more = more;
  return record;
}

const shown = <T, R>(list: readonly T[], map: (entry: T) => R): R[] => list.slice(0, MOST_WRITES).map(map);

function relationPart(change: Work['relations'][number]): NonNullable<WroteRecord['relations']>[number] {
  const saved = 'save' in change;
  const { from, to, type } = saved ? change.save : change.remove;
  return { saved, from, to, type };
}

function entityPart(change: Work['docs'][number]): NonNullable<WroteRecord['entities']>[number] {
  if ('remove' in change) return { entityType: change.remove.collection, id: change.remove.id, removed: true };
  const { collection, id, name, state } = change.doc;
  return { entityType: collection, id, name, ...(state ? { state } : {}) };
}

function attributePart(write: AttributeWrite | AttributeRemoval): object {
  return 'keys' in write ? { removed: write.keys.slice(0, MOST_KEYS) } : { values: plain([[write.key, write.value]]) };
}

function plain(values: readonly KeyValue[]): Record<string, unknown> {
  const map: Record<string, unknown> = {};
  for (let i = 0; i < values.length && i < MOST_KEYS; i++) {
    const [key, value] = values[i]!;
    if (key !== '__proto__') map[key] = plainValue(value);
  }
  return map;
}

/** JSON as it is kept has no 64-bit integers: those beyond 2^53 are shown as text. */
function plainValue(value: Value): unknown {
  if (typeof value.value === 'bigint') return String(value.value);
  if (value.type === 'JSON') return cutText(valueJson(value));
  return typeof value.value === 'string' ? cutText(value.value) : value.value;
}

const cutText = (text: string): string => (text.length > VALUE_CHARS ? `${text.slice(0, VALUE_CHARS)}…` : text);
