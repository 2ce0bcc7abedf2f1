import { ENTITY_TYPES, type EntityRef } from '#engine/message.ts';
import type { NodeInfo } from '#engine/node.ts';
import { alarmStatus } from '#engine/services/alarms.ts';
import type { Alarm, RpcAnswer } from '#engine/services.ts';
import type { Doc, Store } from '#engine/store.ts';
import type { CompiledNode } from '../chain.ts';
import { plainValues } from './values.ts';
import type { DryWork } from './work.ts';

/** An entity, with its name where it has one. */
export interface Named extends EntityRef {
  readonly name: string | null;
}

/** What a node would have done outside of the store. */
export type OutsideBody =
  | { readonly kind: 'external'; readonly request: Record<string, unknown>; readonly relation: string | readonly string[]; readonly assumed: boolean }
  | {
      readonly kind: 'rpc';
      readonly entity: EntityRef;
      readonly method: string;
      readonly params: string;
      readonly oneway: boolean;
      readonly expiresAt: number;
      readonly answer: RpcAnswer;
      /** Nobody said what the device answers. */
      readonly assumed: boolean;
    }
  | { readonly kind: 'rpcReply'; readonly sessionId: string; readonly requestId: string; readonly data: string }
  | { readonly kind: 'rpcAnswer'; readonly requestId: string; readonly answer: RpcAnswer }
  | { readonly kind: 'restReply'; readonly requestId: string; readonly data: string }
  | { readonly kind: 'deviceNotified'; readonly entity: EntityRef; readonly updated?: readonly string[]; readonly deleted?: readonly string[] }
  | { readonly kind: 'deviceState'; readonly entity: EntityRef; readonly event: string; readonly at: number }
  | { readonly kind: 'log'; readonly text: string };

/** What would have been written, and messages that would have gone elsewhere. */
export type WorkBody =
  | {
      readonly kind: 'telemetry';
      readonly entity: EntityRef;
      readonly ts: number;
      readonly values: Record<string, unknown>;
      readonly expiresAt: number | null;
      readonly history: boolean;
      readonly latest: boolean;
    }
  | { readonly kind: 'telemetryRemoved'; readonly entity: EntityRef; readonly keys: readonly string[]; readonly range: unknown }
  | { readonly kind: 'attributes'; readonly entity: EntityRef; readonly scope: string; readonly values: Record<string, unknown> }
  | { readonly kind: 'attributesRemoved'; readonly entity: EntityRef; readonly scope: string; readonly keys: readonly string[] }
  | {
      readonly kind: 'relation' | 'relationRemoved';
      readonly from: EntityRef;
      readonly to: EntityRef;
      readonly type: string;
      readonly typeGroup: string;
    }
  | {
      readonly kind: 'alarm';
      readonly change: Change;
      readonly id: string;
      readonly originator: EntityRef;
      readonly type: string;
      readonly severity: string;
      readonly status: string;
      readonly details: unknown;
    }
  | { readonly kind: 'entity'; readonly change: Change; readonly entity: Named; readonly type?: string | null; readonly customerId?: string | null }
  | {
      readonly kind: 'downlink';
      readonly integrationId: string;
      readonly entity: EntityRef;
      readonly delivery: 'now' | 'pending';
      readonly type: string;
      readonly data: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  /** Into the chain of its originator. It is not walked. */
  | {
      readonly kind: 'message';
      readonly id: string;
      readonly originator: EntityRef;
      readonly type: string;
      readonly data: string;
      readonly metadata: Readonly<Record<string, string>>;
      readonly queue: string | null;
    }
  | {
      readonly kind: 'deadLetter';
      readonly reason: string;
      readonly entity: EntityRef | null;
      readonly data: string;
      readonly metadata: Readonly<Record<string, string>>;
    }
  /** It would have been tried again. */
  | { readonly kind: 'held'; readonly messageId: string; readonly notBefore: number }
  | { readonly kind: 'kept'; readonly messageId: string; readonly key: string }
  | { readonly kind: 'timer'; readonly entity: EntityRef; readonly key: string; readonly dueAt: number };

type Change = 'created' | 'changed' | 'cleared' | 'removed';
export type EffectBody = OutsideBody | WorkBody;

/** One side effect that did not happen; whose it would have been by name. */
export type Effect = EffectBody & { readonly node: string | null; readonly nodeId: string | null; readonly chain: string | null };

interface Raw {
  readonly node: Pick<NodeInfo, 'id' | 'name' | 'chainName'> | null;
  readonly body: EffectBody;
  /** Of a document: where to look whether it was there before. */
  readonly doc?: Doc;
}

const LISTS = [
  ...(['telemetry', 'telemetryRemovals', 'attributes', 'relations', 'docs', 'downlinks', 'outside'] as const),
  ...(['messages', 'kept', 'delayed', 'held', 'deadLetters'] as const),
] as const;
const REFS = ['entity', 'from', 'to', 'originator'] as const;
const ENTITIES: ReadonlySet<string> = new Set(ENTITY_TYPES);

/** Reads off the work of a dry run what each node has put into it. */
export class Recorder {
  /** Characters of all effects, about. */
  chars = 0;
  private readonly work: DryWork;
  private readonly seen = new Map<string, number>();
  /** Documents of this run by their ids, so that a second save is a change. */
  private readonly written = new Set<string>();
  private raw: Raw[] = [];

  constructor(work: DryWork) {
    this.work = work;
  }

  /** What is new since the last time is the node's. */
  collect(node: CompiledNode | null): void {
    for (const list of LISTS) {
      const entries = this.work[list];
      const from = this.seen.get(list) ?? 0;
      if (entries.length === from) continue;
      this.seen.set(list, entries.length);
      for (const raw of this.read(list, from)) this.put({ node: node?.info ?? null, ...raw });
    }
  }

  /** Those since the last time. */
  take(): Raw[] {
    return this.raw.splice(0);
  }

  private put(raw: Raw): void {
    this.raw.push(raw);
    this.chars += JSON.stringify(raw.body).length;
  }

  private *read(list: (typeof LISTS)[number], from: number): Iterable<{ body: EffectBody; node?: Raw['node']; doc?: Doc }> {
    const { work } = this;
    switch (list) {
      case 'telemetry':
        for (const { entity, ts, values, expiresAt, history, latest } of work.telemetry.slice(from))
          yield { body: { kind: 'telemetry', entity, ts, values: plainValues(values), expiresAt, history, latest } };
        break;
      case 'telemetryRemovals':
        for (const { entity, keys, range } of work.telemetryRemovals.slice(from)) yield { body: { kind: 'telemetryRemoved', entity, keys, range } };
        break;
      case 'attributes':
        yield* this.attributes(from);
        break;
      case 'relations':
        for (const change of work.relations.slice(from)) {
          const { from: source, to, type, typeGroup } = 'save' in change ? change.save : change.remove;
          yield { body: { kind: 'save' in change ? 'relation' : 'relationRemoved', from: source, to, type, typeGroup } };
        }
        break;
      case 'docs':
        yield* this.docs(from);
        break;
      case 'downlinks':
        for (const { integrationId, entity, delivery, message } of work.downlinks.slice(from)) {
          const { type, data, metadata } = message;
          yield { body: { kind: 'downlink', integrationId, entity, delivery, type, data, metadata } };
        }
        break;
      case 'messages':
        // Those that stand somewhere in a chain are on their way through it.
        for (const { id, at, originator, type, data, metadata, queueName } of work.messages.slice(from))
          if (at === null) yield { body: { kind: 'message', id, originator, type, data, metadata, queue: queueName } };
        break;
      case 'deadLetters':
        for (const { reason, entity, node, message, metadata } of work.deadLetters.slice(from)) {
          const place = node && { id: node.nodeId, name: node.nodeName, chainName: node.chainName };
          yield { body: { kind: 'deadLetter', reason, entity, data: message?.data ?? '', metadata }, ...(place && { node: place }) };
        }
        break;
      case 'held':
        for (const { message, notBefore } of work.held.slice(from)) yield { body: { kind: 'held', messageId: message.id, notBefore } };
        break;
      case 'kept':
        for (const { message, key } of work.kept.slice(from)) yield { body: { kind: 'kept', messageId: message.id, key } };
        break;
      case 'delayed':
        for (const { message, dueAt } of work.delayed.slice(from))
          yield { body: { kind: 'timer', entity: message.originator, key: message.at?.due ?? '', dueAt } };
        break;
      case 'outside':
        for (const { node, body } of work.outside.slice(from)) yield { body, node };
        break;
    }
  }

  /** Keys that were written together are shown together. */
  private *attributes(from: number): Iterable<{ body: EffectBody }> {
    const list = this.work.attributes;
    for (let i = from; i < list.length; i++) {
      const first = list[i]!;
      const { entity, scope } = first;
      if ('keys' in first) {
        yield { body: { kind: 'attributesRemoved', entity, scope, keys: first.keys } };
        continue;
      }
      const values = [[first.key, first.value] as const];
      for (let next = list[i + 1]; next && !('keys' in next) && next.entity.id === entity.id && next.scope === scope; next = list[i + 1]) {
        values.push([next.key, next.value]);
        i++;
      }
      yield { body: { kind: 'attributes', entity, scope, values: plainValues(values) } };
    }
  }

  private *docs(from: number): Iterable<{ body: EffectBody; doc?: Doc }> {
    for (const change of this.work.docs.slice(from)) {
      const { collection, id } = 'doc' in change ? change.doc : change.remove;
      // Credentials and the like are parts of an entity.
      if (!ENTITIES.has(collection)) continue;
      const entityType = collection as EntityRef['entityType'];
      if (!('doc' in change)) {
        yield { body: { kind: 'entity', change: 'removed', entity: { entityType, id, name: null } } };
        continue;
      }
      const { doc, expects } = change;
      if (collection === 'ENTITY_GROUP' && doc.body['groupAll'] === true) continue;
      const isNew = expects === 0 && !this.written.has(id);
      // Without a version it is known only when the store is asked.
      const asked = expects === undefined && !this.written.has(id) ? { doc } : {};
      this.written.add(id);
      if (collection === 'ALARM') yield { body: alarmBody(doc), ...asked };
      else {
        const { name, kind: type = null, customerId = null } = doc;
        yield { body: { kind: 'entity', change: isNew ? 'created' : 'changed', entity: { entityType, id, name }, type, customerId }, ...asked };
      }
    }
  }
}

function alarmBody({ body }: Doc): EffectBody {
  const alarm = body as unknown as Alarm;
  const { id, originator, type, severity, details } = alarm;
  return { kind: 'alarm', change: alarm.cleared ? 'cleared' : 'changed', id, originator, type, severity, status: alarmStatus(alarm), details };
}

export interface Naming {
  readonly store: Pick<Store, 'doc'>;
  nameOf(entity: EntityRef): Promise<string | null>;
}

/** With names, and with what is known only by asking the store. */
export async function finished({ node, body, doc }: Raw, { store, nameOf }: Naming): Promise<Effect> {
  const named: Record<string, unknown> = { ...body };
  for (const key of REFS) {
    const ref = named[key] as (EntityRef & { name?: string | null }) | null | undefined;
    if (ref && ref.name === undefined) named[key] = { entityType: ref.entityType, id: ref.id, name: await nameOf(ref) };
  }
  if (doc && named['change'] === 'changed' && !(await store.doc(doc.collection, doc.tenantId, doc.id))) named['change'] = 'created';
  return { node: node?.name ?? null, nodeId: node?.id ?? null, chain: node?.chainName ?? null, ...named } as Effect;
}
