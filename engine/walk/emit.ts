import { enqueueAction } from '#engine/actions.ts';
import { errorText } from '#engine/errors.ts';
import { type Message, withChanges } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';
import type { DeadLetter } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import type { CompiledNode } from './chain.ts';
import { debugsAll, nodeEvent } from './debug.ts';

export interface EmitDeps {
  newId(): string;
  now(): number;
  /** Id of this process in events. */
  readonly server: string;
  /** For journeys: a node made one message of another, beside the walks. */
  created?(of: Message, message: Message, node: CompiledNode): void;
}

/**
 * Makes emissions that no walk carries (a timer's, a late answer's) new messages of their lanes, positioned behind `node`.
 * @param basis what the node had in hand: emissions without a message of their own send it on, and its way (stack, executions) is kept. null: there was none.
 */
export function emitBehind(node: CompiledNode, emissions: readonly Emission[], basis: Message | null, work: Work, deps: EmitDeps): void {
  for (const { to, message = basis, error } of emissions) {
    if (!message) throw new Error('An emission without a message, outside of any message');
    const labels = typeof to === 'string' ? [to] : to;
    const at = { chainId: node.info.chainId, nodeId: node.info.id, labels };
    const way = basis ? { stack: basis.stack, executions: basis.executions, owner: basis.owner } : {};
    const sent = withChanges(message, { ...way, id: deps.newId(), at, effect: false, attempts: 0 });
    tellEmission(node, labels, sent, error, work, deps);
    deps.created?.(basis ?? message, sent, node);
    // Behind an unconnected Failure the message would come to the same end, without knowing why.
    if (labels.includes('Failure') && labels.every((label) => !node.targets.has(label.toLowerCase()))) {
      work.count(sent.tenantId, sent.owner, 'messages.created');
      bury(work, sent, error || 'Failure', node, deps);
    } else enqueueAction(work, sent);
  }
}

/** The message that was kept at a node goes on behind it, as what it became there. The same one: it is not counted anew. */
export function resumeBehind(node: CompiledNode, emission: Emission, kept: Message, work: Work, deps: EmitDeps): void {
  const { to, error, message = kept } = emission;
  const labels = typeof to === 'string' ? [to] : to;
  const { definition, config } = node;
  const hasEffect = (emission.effect ?? definition!.effect ?? false) && labels.some((label) => label !== 'Failure');
  const id = definition!.acknowledges?.(config) ? deps.newId() : kept.id;
  const at = { chainId: node.info.chainId, nodeId: node.info.id, labels };
  const { stack, executions, owner } = kept;
  const sent = withChanges(message, { id, at, stack, executions, owner, effect: kept.effect || hasEffect, attempts: 0 });
  tellEmission(node, labels, sent, error, work, deps);
  if (id !== kept.id) deps.created?.(kept, sent, node);
  if (labels.some((label) => node.targets.has(label.toLowerCase()))) work.messages.push(sent);
  else if (labels.includes('Failure')) bury(work, kept, error || 'Failure', node, deps);
  else work.count(sent.tenantId, owner, sent.effect ? 'messages.stored' : 'messages.filtered');
}

function tellEmission(node: CompiledNode, labels: readonly string[], sent: Message, error: string | undefined, work: Work, deps: EmitDeps): void {
  const now = deps.now();
  for (const relation of labels) {
    if (debugsAll(node, now) || (relation === 'Failure' && node.debug?.failuresEnabled)) {
      work.events.push(nodeEvent(node, { type: 'OUT', message: sent, relation, error }, { id: deps.newId(), now, server: deps.server }));
    }
  }
}

/** Writes the dead letter of stage `chain` and counts it. */
export function bury(work: Work, message: Message, reason: string, node: CompiledNode | null, deps: Pick<EmitDeps, 'newId' | 'now'>): void {
  const letter: DeadLetter = {
    id: deps.newId(),
    createdTime: deps.now(),
    tenantId: message.tenantId,
    owner: message.owner,
    integrationId: message.owner === message.tenantId ? null : message.owner,
    stage: 'chain',
    reason,
    payload: Buffer.from(message.data),
    metadata: message.metadata,
    entity: message.originator,
    node: node && { chainId: node.info.chainId, chainName: node.info.chainName, nodeId: node.info.id, nodeName: node.info.name },
    message,
  };
  work.deadLetters.push(letter);
  work.count(message.tenantId, message.owner, 'messages.dead');
}

export interface LateDeps extends EmitDeps {
  commit(work: Work): Promise<void>;
  readonly log: { warn(details: object, text: string): void };
}

/** After the commit, beside the lane: what a node learns later goes on behind it as new messages. */
export async function emitLater(node: CompiledNode, basis: Message, later: () => Promise<readonly Emission[]>, deps: LateDeps): Promise<void> {
  try {
    const emissions = await later().catch((cause: unknown) => [{ to: 'Failure', error: errorText(cause) }]);
    const work = new Work();
    emitBehind(node, emissions, basis, work, deps);
    await deps.commit(work);
  } catch (cause) {
    deps.log.warn({ node: node.info.id, chain: node.info.chainId, cause: errorText(cause) }, 'a late answer is lost');
  }
}
