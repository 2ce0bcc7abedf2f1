import { isJsonObject, type Json, type JsonObject, plainText, printJson } from '#engine/json.ts';
import { type Message, type Metadata, withChanges } from '#engine/message.ts';
import type { ScriptLanguage } from '#engine/script.ts';

/**
 * The message that a transform or generator script returned (specs: rule-nodes §3.1, §7 row 4): absent parts stay as they were, `metadata` replaces the map.
 * @param language of the script: nested metadata fails in JS; of TBEL it is the text that Java makes of it.
 * @throws Error when metadata is no map, or of JS no map of scalars.
 */
export function scriptMessage(result: JsonObject, old: Message, language: ScriptLanguage): Message {
  const { msg, metadata, msgType } = result;
  return withChanges(old, {
    data: msg === undefined ? old.data : printJson(msg),
    metadata: metadata === undefined || metadata === null ? old.metadata : scriptMetadata(metadata, language),
    type: msgType === undefined ? old.type : scalarText(msgType) || old.type,
  });
}

/** Text of a scalar (null too); nothing of an object or array. */
const scalarText = (value: Json): string => (Array.isArray(value) || isJsonObject(value) ? '' : plainText(value));

function scriptMetadata(value: Json, language: ScriptLanguage): Metadata {
  if (!isJsonObject(value)) throw new Error(`Metadata must be an object, the script returned: ${printJson(value).slice(0, 100)}`);
  const entries: [string, string][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (item === null) continue;
    const isNested = Array.isArray(item) || isJsonObject(item);
    if (isNested && language === 'JS')
      throw new Error(`Metadata value of '${key}' must be a scalar, the script returned: ${printJson(item).slice(0, 100)}`);
    entries.push([key, isNested ? javaText(item) : plainText(item)]);
  }
  return Object.fromEntries(entries);
}

/** `toString` of Java's lists and maps: `[1, {a=x}]`. */
function javaText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(javaText).join(', ')}]`;
  if (!isJsonObject(value)) return plainText(value);
  const entries = Object.entries(value).map(([key, item]) => `${key}=${javaText(item)}`);
  return `{${entries.join(', ')}}`;
}
