import { createMessage, type Message } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Store } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';

/** Most messages that one timer of a node takes up at once. */
const MOST_KEPT = 100_000;

export interface KeptDeps {
  readonly store: Pick<Store, 'kept' | 'keptSummary' | 'nodeState'>;
  newId(): string;
  now(): number;
}

/** What nodes of a batch keep and remember: reads see what is in the work already. */
export function keptServices(tenantId: string, work: Work, deps: KeptDeps): Pick<Services, 'kept' | 'memory'> {
  const isGone = (messageId: string): boolean => work.keptRemovals.some((removal) => removal.messageId === messageId);
  const isAsked = (entry: { readonly nodeId: string; readonly key: string }, nodeId: string, key: string | undefined): boolean =>
    entry.nodeId === nodeId && (key === undefined || entry.key === key);
  const added = (nodeId: string, key?: string): Message[] =>
    work.kept.filter((kept) => kept.kind === 'own' && isAsked(kept, nodeId, key)).map((kept) => kept.message);
  return {
    kept: {
      async list(nodeId, key) {
        const stored = await deps.store.kept(tenantId, nodeId, { key, max: MOST_KEPT });
        return [...stored.map((kept) => kept.message), ...added(nodeId, key)].filter((message) => !isGone(message.id));
      },
      async count(nodeId, key) {
        const { count } = await deps.store.keptSummary(tenantId, nodeId, key);
        return count + added(nodeId, key).length - work.keptRemovals.filter((removal) => isAsked(removal, nodeId, key)).length;
      },
      release(nodeId, key, messages) {
        for (const message of messages) {
          work.keptRemovals.push({ tenantId, nodeId, key, messageId: message.id });
          work.count(tenantId, message.owner, message.effect ? 'messages.stored' : 'messages.filtered');
        }
      },
      remind(node, originator, key, at) {
        const position = { chainId: node.chainId, nodeId: node.id, labels: null, due: key };
        const timer = createMessage(
          { tenantId, type: 'TIMER', originator, data: '', at: position, queueName: node.queueName },
          deps.newId,
          deps.now(),
        );
        work.delayed.push({ message: timer, dueAt: at });
        work.count(tenantId, timer.owner, 'messages.created');
      },
    },
    memory: {
      async get(nodeId, key) {
        const written = work.nodeStates.findLast((state) => state.nodeId === nodeId && state.key === key);
        return written ? written.value : deps.store.nodeState(tenantId, nodeId, key);
      },
      set: (nodeId, key, value) => void work.nodeStates.push({ tenantId, nodeId, key, value }),
    },
  };
}
