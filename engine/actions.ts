import { newId } from './id.ts';
import { createMessage, type EntityRef, type Message, type Metadata } from './message.ts';
import type { Work } from './work.ts';

/** Who caused it, where a user did: what ThingsBoard puts into the metadata (specs: rest-api §2.22). */
export interface Actor {
  readonly userId: string;
  readonly email: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
}

export interface Action {
  /** null: the platform itself. */
  readonly caller: Actor | null;
  readonly tenantId: string;
  /** ENTITY_CREATED, ATTRIBUTES_UPDATED, … */
  readonly type: string;
  readonly originator: EntityRef;
  /** JSON text, or what becomes it. */
  readonly data: unknown;
  readonly metadata?: Metadata;
  /** Of the originator. */
  readonly customerId?: string | null;
  readonly queueName?: string | null;
  readonly now: number;
}

/** A message that the platform itself puts into rule chains because of a call or an event. */
export function actionMessage({ caller, tenantId, type, originator, data, metadata, customerId, queueName, now }: Action): Message {
  const all: Record<string, string> = { ...metadata };
  if (caller) {
    all['userId'] = caller.userId;
    all['userName'] = caller.email;
    all['userEmail'] = caller.email;
    if (caller.firstName) all['userFirstName'] = caller.firstName;
    if (caller.lastName) all['userLastName'] = caller.lastName;
  }
  if (customerId) all['customerId'] = customerId;
  return createMessage(
    {
      tenantId,
      type,
      originator,
      data: typeof data === 'string' ? data : JSON.stringify(data),
      metadata: all,
      customerId: customerId ?? null,
      queueName: queueName ?? null,
      ts: now,
    },
    () => newId(now),
    now,
  );
}

/** Into the lane of its originator, with the work; counted as created by its owner (the tenant, unless the message says otherwise). */
export function enqueueAction(work: Work, message: Message): void {
  work.messages.push(message);
  work.count(message.tenantId, message.owner, 'messages.created');
}
