import { createMessage, type EntityRef, type Message, type Metadata } from '#engine/message.ts';
import type { NodeInfo } from '#engine/node.ts';
import type { Services } from '#engine/services.ts';

export interface NodeAction {
  /** ATTRIBUTES_UPDATED, ENTITY_CREATED, … */
  readonly type: string;
  readonly originator: EntityRef;
  /** JSON text. */
  readonly data: string;
  readonly metadata?: Metadata;
}

/** Tells the default chain of `originator` what a node did. Caused by the node, so the tenant's ledger counts it, not that of the message. */
export function enqueueNodeAction(
  { type, originator, data, metadata }: NodeAction,
  node: NodeInfo,
  { enqueue, newId, now }: Services['messages'],
): Message {
  const message = createMessage({ tenantId: node.tenantId, type, originator, data, metadata: { ...metadata, ruleNodeId: node.id } }, newId, now());
  enqueue(message);
  return message;
}
