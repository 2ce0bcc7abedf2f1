import { type JsonObject, printJson, type Value, valueText } from '#engine/json.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import { attributeScope } from './attributes.ts';
import { numberOf, parseDouble } from './numbers.ts';
import { fillRequired } from './required-pattern.ts';

/** Where the math function node takes its numbers from. */

export interface Argument {
  readonly name: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly attributeScope: string | null;
  /** For an input that is missing, null or empty; never for one that is no number. */
  readonly defaultValue: number | null;
}

/** What is in the message is looked at before anything is read. @param body the data, when some argument or the result is in it. */
export async function readArguments(
  message: Message,
  all: readonly Argument[],
  body: JsonObject | null,
  services: Pick<Services, 'attributes' | 'telemetry'>,
): Promise<number[]> {
  const reads = all.map((argument) => readArgument(message, argument, body, services));
  const values: number[] = [];
  for (const read of reads) values.push(typeof read === 'number' ? read : await read());
  return values;
}

function readArgument(
  message: Message,
  argument: Argument,
  body: JsonObject | null,
  { attributes, telemetry }: Pick<Services, 'attributes' | 'telemetry'>,
): number | (() => Promise<number>) {
  const { originator } = message;
  const key = keyOf(message, argument);
  switch (argument.type) {
    case 'CONSTANT':
      return toDouble(key);
    case 'MESSAGE_BODY':
      return fromBody(body ?? {}, key, argument);
    case 'MESSAGE_METADATA': {
      const text = message.metadata[key];
      return text ? toDouble(text) : orDefault(argument, `Message metadata has no '${key}'!`);
    }
    case 'ATTRIBUTE': {
      const scope = attributeScope(argument.attributeScope || 'SERVER_SCOPE');
      if (key === '') throw new Error('Incorrect attribute key ');
      return async () =>
        stored((await attributes.find(originator, scope, [key]))[0]?.value, argument, originator, `Attribute: ${key} with scope: ${scope}`);
    }
    case 'TIME_SERIES':
      return async () => stored((await telemetry.latest(originator, [key])).get(key)?.value, argument, originator, `Time-series: ${key}`);
    default:
      throw new Error(`Argument type is not supported: ${argument.type}!`);
  }
}

/** Patterns everywhere but in constants. */
export const keyOf = (message: Message, { type, key }: { readonly type: string | null; readonly key: string | null }): string =>
  type === 'CONSTANT' ? (key ?? '') : fillRequired(key, message);

function fromBody(body: JsonObject, key: string, argument: Argument): number {
  if (!Object.hasOwn(body, key)) return orDefault(argument, `Message body has no '${key}'!`);
  const value = body[key]!;
  if (value === null) return orDefault(argument, `Message body has null '${key}'!`);
  if (typeof value === 'string') return value.trim() === '' ? orDefault(argument, `Message value is empty for '${key}'!`) : toDouble(value);
  const number = numberOf(value);
  if (number === null) throw unconvertible(printJson(value));
  return number;
}

function stored(value: Value | undefined, argument: Argument, { id }: EntityRef, what: string): number {
  if (!value) return orDefault(argument, `${what} not found for entity: ${id}`);
  return value.type === 'LONG' || value.type === 'DOUBLE' ? Number(value.value) : toDouble(valueText(value));
}

function orDefault({ defaultValue }: Argument, problem: string): number {
  if (defaultValue === null) throw new Error(problem);
  return defaultValue;
}

function toDouble(text: string): number {
  const number = parseDouble(text);
  if (number === null) throw unconvertible(text);
  return number;
}

const unconvertible = (text: string): Error => new Error(`Can't convert value '${text}' to double!`);
