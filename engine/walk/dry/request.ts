import { ConfigError, type Problem } from '#engine/errors.ts';
import { isUuid } from '#engine/id.ts';
import { isJsonObject, type Json, parseJson, printJson } from '#engine/json.ts';
import { ENTITY_TYPES, type EntityRef, type EntityType } from '#engine/message.ts';
import type { DryMessage } from '../dry-run.ts';
import type { Answer } from './nodes.ts';

/** What people write for a dry run, in a request or a case file, made into what it means. */

type Raw = Record<string, unknown>;
const LAST_NOW = Date.UTC(3000, 0);
const record = (value: unknown): Raw | null => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Raw) : null);

/** Names an entity: `{entityType, id}`, or the name of a device. */
export interface MessageSource {
  readonly originator: EntityRef | null;
  readonly deviceName: string | null;
}

export interface ReadMessage extends Omit<DryMessage, 'originator'> {
  readonly source: MessageSource;
}

export interface ReadRequest {
  readonly messages: readonly ReadMessage[];
  readonly answers: Readonly<Record<string, Answer>>;
  readonly now: number | undefined;
}

/** The text of a request or a case; data in it keeps the spelling of its numbers: `1` and `1.0` differ. @throws InvalidJson */
export function parseDryText(text: string): unknown {
  const exact = parseJson(text);
  const plain: unknown = JSON.parse(text);
  if (!isJsonObject(exact)) return plain;
  const { messages, message, answers } = plain as { messages?: unknown; message?: unknown; answers?: unknown };
  if (Array.isArray(exact['messages'])) for (const [index, each] of exact['messages'].entries()) respell(each, (messages as unknown[])[index]);
  respell(exact['message'], message);
  if (isJsonObject(exact['answers'])) for (const [name, each] of Object.entries(exact['answers'])) respell(each, (answers as Raw)[name]);
  return plain;
}

function respell(exact: Json | undefined, plain: unknown): void {
  if (!isJsonObject(exact) || !Object.hasOwn(exact, 'data')) return;
  const data = exact['data']!;
  if (typeof data !== 'string') (plain as Raw)['data'] = printJson(data);
}

/** @throws ConfigError that names every field that is wrong. */
export function readDryRequest({ messages, answers, now }: Raw, mostMessages: number): ReadRequest {
  const problems: Problem[] = [];
  const list = Array.isArray(messages) ? messages : [];
  if (list.length === 0) problems.push({ path: 'messages', message: 'a list of messages is needed' });
  if (list.length > mostMessages) problems.push({ path: 'messages', message: `at most ${mostMessages} messages are walked, not ${list.length}` });
  const read = list.slice(0, mostMessages).map((message, index) => readMessage(message, `messages.${index}`, problems));
  const isTime = typeof now === 'number' && Number.isSafeInteger(now) && now > 0 && now < LAST_NOW;
  if (now !== undefined && now !== null && !isTime) problems.push({ path: 'now', message: 'is not a time in Unix ms' });
  const given = readAnswers(answers, problems);
  if (problems.length > 0) throw new ConfigError(problems.slice(0, 20));
  return { messages: read, answers: given, now: isTime ? now : undefined };
}

function readMessage(message: unknown, path: string, problems: Problem[]): ReadMessage {
  const problem = (key: string, text: string): void => void problems.push({ path: key ? `${path}.${key}` : path, message: text });
  const { type, originator, deviceName, data, metadata, customerId } = record(message) ?? {};
  if (!record(message)) problem('', 'is not an object');
  else if (typeof type !== 'string' || type === '') problem('type', 'a text is needed, for example POST_TELEMETRY_REQUEST');
  if (deviceName !== undefined && deviceName !== null && typeof deviceName !== 'string') problem('deviceName', 'is not a text');
  const customer = record(customerId)?.['id'] ?? customerId ?? null;
  if (customer !== null && (typeof customer !== 'string' || !isUuid(customer))) problem('customerId', 'is not the id of a customer');
  if (metadata !== undefined && metadata !== null && !record(metadata)) problem('metadata', 'is not an object');
  return {
    type: String(type),
    source: { originator: readRef(originator, problem), deviceName: typeof deviceName === 'string' ? deviceName : null },
    data: textOf(data),
    metadata: textsOf(record(metadata) ?? {}),
    customerId: typeof customer === 'string' ? customer : null,
  };
}

function readRef(originator: unknown, problem: (key: string, text: string) => void): EntityRef | null {
  if (originator === undefined || originator === null) return null;
  const { entityType, id } = record(originator) ?? {};
  if (!(ENTITY_TYPES as readonly unknown[]).includes(entityType)) problem('originator', 'entityType is not known');
  else if (typeof id !== 'string' || !isUuid(id)) problem('originator', 'id is not a UUID');
  else return { entityType: entityType as EntityType, id: id.toLowerCase() };
  return null;
}

/** Text is data as it is, JSON or not; anything else is JSON. */
export const textOf = (data: unknown): string => (typeof data === 'string' ? data : JSON.stringify(data ?? {}));

/** Metadata is flat text; null is never put. */
const textsOf = (values: Raw): Record<string, string> =>
  Object.fromEntries(Object.entries(values).flatMap(([key, value]) => (value === null || value === undefined ? [] : [[key, textOf(value)]])));

function readAnswers(answers: unknown, problems: Problem[]): Record<string, Answer> {
  if (answers === undefined || answers === null) return {};
  const given = record(answers);
  if (!given) problems.push({ path: 'answers', message: 'is not an object: the names of nodes, and what each of them is answered' });
  const read: [string, Answer][] = [];
  for (const [name, each] of Object.entries(given ?? {})) {
    const path = `answers.${name}`;
    const { relation, data, metadata, error, ...rest } = record(each) ?? {};
    const isRelation =
      relation === undefined || typeof relation === 'string' || (Array.isArray(relation) && relation.every((label) => typeof label === 'string'));
    if (!record(each)) problems.push({ path, message: 'is not an object' });
    if (!isRelation) problems.push({ path: `${path}.relation`, message: 'is not a relation type, nor a list of them' });
    if (metadata !== undefined && !record(metadata)) problems.push({ path: `${path}.metadata`, message: 'is not an object' });
    if (error !== undefined && typeof error !== 'string') problems.push({ path: `${path}.error`, message: 'is not a text' });
    for (const key of Object.keys(rest)) problems.push({ path: `${path}.${key}`, message: 'is not known: relation, data, metadata, error' });
    read.push([
      name,
      { relation: relation as Answer['relation'], data, metadata: record(metadata) ? textsOf(metadata as Raw) : undefined, error: error as string },
    ]);
  }
  return Object.fromEntries(read);
}
