import type { Message } from '#engine/message.ts';
import type { EventRow } from '#engine/store.ts';
import type { CompiledNode } from './chain.ts';

/** Most characters of data, metadata and error in one debug event. */
const LIMIT = 4096;
const cut = (text: string): string => (text.length > LIMIT ? text.slice(0, LIMIT) : text);

export const debugsAll = ({ debug }: CompiledNode, now: number): boolean => debug !== null && (debug.allEnabled || now < debug.allEnabledUntil);

/** One step of a message at a node, as `GET /api/events/RULE_NODE/…` shows it (rest-api §2.18). */
export function nodeEvent(
  { info }: CompiledNode,
  step: { readonly type: 'IN' | 'OUT'; readonly message: Message; readonly relation: string; readonly error?: string | null },
  { id, now, server }: { readonly id: string; readonly now: number; readonly server: string },
): EventRow {
  const { message } = step;
  return {
    id,
    tenantId: info.tenantId,
    entity: { entityType: 'RULE_NODE', id: info.id },
    type: 'DEBUG_RULE_NODE',
    createdTime: now,
    body: {
      server,
      type: step.type,
      entityId: message.originator.id,
      entityType: message.originator.entityType,
      msgId: message.id,
      msgType: message.type,
      dataType: message.dataType,
      relationType: step.relation,
      data: cut(message.data),
      metadata: cut(JSON.stringify(message.metadata)),
      error: step.error ? cut(step.error) : '',
    },
  };
}

/** A node was started, or could not be and why. */
export function lifecycleEvent(
  { info, problem, definition }: CompiledNode,
  event: 'STARTED' | 'UPDATED',
  { newId, now, server }: { newId(): string; now(): number; readonly server: string },
): EventRow {
  const body = { server, event, success: problem === null, error: problem ?? definition?.notice ?? '' };
  return { id: newId(), tenantId: info.tenantId, entity: { entityType: 'RULE_NODE', id: info.id }, type: 'LC_EVENT', createdTime: now(), body };
}

const HOUR_MS = 3_600_000;

/** How many debug events a tenant may write in an hour; the one that is too many becomes a notice. */
export class DebugBudget {
  private readonly most: number;
  private readonly spent = new Map<string, { since: number; events: number }>();

  constructor(most: number) {
    this.most = most;
  }

  /** `last`: write a notice instead, nothing afterwards. */
  take(tenantId: string, now: number): 'yes' | 'last' | 'no' {
    let window = this.spent.get(tenantId);
    if (!window || now - window.since >= HOUR_MS) {
      window = { since: now, events: 0 };
      this.spent.set(tenantId, window);
    }
    window.events++;
    return window.events <= this.most ? 'yes' : window.events === this.most + 1 ? 'last' : 'no';
  }
}

/** Tells beside the chain that its nodes write no debug events for a while. */
export const budgetNotice = (
  { info }: CompiledNode,
  { id, now, server }: { readonly id: string; readonly now: number; readonly server: string },
): EventRow => ({
  ...{ id, tenantId: info.tenantId, entity: { entityType: 'RULE_CHAIN', id: info.chainId }, type: 'DEBUG_RULE_CHAIN', createdTime: now },
  body: { server, message: '', error: 'Debug mode rate limits reached!' },
});
