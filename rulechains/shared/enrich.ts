import { isJsonObject, type Json, json, plainText, printJson } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';

export type FetchTo = 'DATA' | 'METADATA';

/** For `start`: @throws when the configuration does not say where to. */
export function checkFetchTo(fetchTo: string | null): void {
  if (fetchTo === null) throw new Error("FetchTo option can't be null! Allowed values: [DATA, METADATA]");
}

/** Before anything is read: @throws when values are to go into data that is no object. */
export function checkTarget(message: Message, fetchTo: FetchTo): void {
  if (fetchTo === 'DATA' && !isJsonObject(json(message))) throw new Error('Message body is not an object!');
}

/** A copy with the values in it: typed in data, as text in metadata; what was under their keys is replaced. */
export function enriched(message: Message, fetchTo: FetchTo, values: readonly (readonly [key: string, value: Json])[]): Message {
  if (fetchTo === 'DATA') {
    const data = json(message);
    return withChanges(message, { data: printJson(Object.fromEntries([...Object.entries(isJsonObject(data) ? data : {}), ...values])) });
  }
  return withChanges(message, {
    metadata: Object.fromEntries([...Object.entries(message.metadata), ...values.map(([key, value]) => [key, plainText(value)] as const)]),
  });
}
