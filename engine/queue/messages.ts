import type { EntityType, Message, Metadata, Position, StackFrame } from '#engine/message.ts';

type Fields = [
  string,
  string,
  number,
  string,
  EntityType,
  string,
  string | null,
  Metadata,
  Message['dataType'],
  string,
  string | null,
  Position | null,
  readonly StackFrame[],
  number,
  string,
  0 | 1,
  number,
];

/** One line of JSON: a list without names, because a message is written once and often never read back. */
export const encodeMessage = (m: Message): string =>
  JSON.stringify([
    m.id,
    m.tenantId,
    m.ts,
    m.type,
    m.originator.entityType,
    m.originator.id,
    m.customerId,
    m.metadata,
    m.dataType,
    m.data,
    m.queueName,
    m.at,
    m.stack,
    m.executions,
    m.owner,
    m.effect ? 1 : 0,
    m.attempts,
  ] satisfies Fields);

export function decodeMessage(line: string): Message {
  const [
    id,
    tenantId,
    ts,
    type,
    entityType,
    entityId,
    customerId,
    metadata,
    dataType,
    data,
    queueName,
    at,
    stack,
    executions,
    owner,
    effect,
    attempts,
  ] = JSON.parse(line) as Fields;
  return Object.freeze({
    id,
    tenantId,
    ts,
    type,
    originator: { entityType, id: entityId },
    customerId,
    metadata,
    dataType,
    data,
    queueName,
    at,
    stack,
    executions,
    owner,
    effect: effect === 1,
    attempts,
  });
}
