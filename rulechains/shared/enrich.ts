import { firstJson, isJsonObject, type Json, plainText, printJson } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';

export type FetchTo = 'DATA' | 'METADATA';

/** For `start`: @throws when the configuration does not say where to. */
export function checkFetchTo(fetchTo: string | null): void {
  if (fetchTo === null) throw new Error("FetchTo option can't be null! Allowed values: [DATA, METADATA]");
}

/** Before anything is read: @throws when values are to go into data that is no object. */
export function checkTarget(message: Message, fetchTo: string | null): void {
  if (fetchTo === 'DATA' && !isJsonObject(firstJson(message))) throw new Error('Message body is not an object!');
}

/** A copy with the values in it: typed in data, as text in metadata; what was under their keys is replaced. */
export function enriched(message: Message, fetchTo: FetchTo, values: readonly (readonly [key: string, value: Json])[]): Message {
  if (fetchTo === 'DATA') {
    const data = firstJson(message);
    return withChanges(message, { data: printJson(Object.fromEntries([...Object.entries(isJsonObject(data) ? data : {}), ...values])) });
  }
  return withChanges(message, {
    metadata: Object.fromEntries([...Object.entries(message.metadata), ...values.map(([key, value]) => [key, plainText(value)] as const)]),
  });
}

/**
 * Upgrade of nodes that once had a flag for it. @param ifTrue what the flag `key` meant when it was true, `ifFalse` when it was false.
 * @throws Error when the flag is missing or is no flag (rule-nodes §1.5).
 */
export function toFetchTo(old: Record<string, unknown>, key: string, ifTrue: FetchTo, ifFalse: FetchTo): Record<string, unknown> {
  const { [key]: flag, ...config } = old;
  if (flag === undefined) throw new Error(`property to update: '${key}' does not exist in configuration.`);
  if (String(flag) !== 'true' && String(flag) !== 'false') {
    throw new Error(`property to update: '${key}' has unexpected value: ${String(flag)}. Allowed values: true or false!`);
  }
  return { ...config, fetchTo: String(flag) === 'true' ? ifTrue : ifFalse };
}
