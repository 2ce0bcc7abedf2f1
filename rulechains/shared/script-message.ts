import { isJsonObject, type Json, type JsonObject, plainText, printJson } from '#engine/json.ts';
import { type Message, type Metadata, withChanges } from '#engine/message.ts';

/**
 * The message that a transform or generator script returned (specs: rule-nodes §3.1, §7 row 4): absent parts stay as they were, `metadata` replaces the map.
 * @throws Error when metadata is no map of scalars.
 */
export function scriptMessage(result: JsonObject, old: Message): Message {
  const { msg, metadata, msgType } = result;
  return withChanges(old, {
    data: msg === undefined ? old.data : printJson(msg),
    metadata: metadata === undefined || metadata === null ? old.metadata : scriptMetadata(metadata),
    type: msgType === undefined ? old.type : scalarText(msgType) || old.type,
  });
}

/** Text of a scalar (null too); nothing of an object or array. */
const scalarText = (value: Json): string => (Array.isArray(value) || isJsonObject(value) ? '' : plainText(value));

function scriptMetadata(value: Json): Metadata {
  if (!isJsonObject(value)) throw new Error(`Metadata must be an object, the script returned: ${printJson(value).slice(0, 100)}`);
  const entries: [string, string][] = [];
  for (const [key, item] of Object.entries(value)) {
    if (item === null) continue;
    if (Array.isArray(item) || isJsonObject(item))
      throw new Error(`Metadata value of '${key}' must be a scalar, the script returned: ${printJson(item).slice(0, 100)}`);
    entries.push([key, plainText(item)]);
  }
  return Object.fromEntries(entries);
}
