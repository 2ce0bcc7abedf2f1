import { Type } from 'typebox';
import { isJsonObject, type Json, json } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { texts } from '../../shared/fields.ts';

/** Top-level keys only, no patterns; a key whose value is null is there. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbCheckMessageNode',
  version: 0,
  family: 'FILTER',
  label: 'check fields presence',
  summary: 'True when the message has the keys.',
  relations: ['True', 'False'],
  config: Config({
    messageNames: texts({ title: 'Data keys', description: 'Top-level keys of the message data.' }),
    metadataNames: texts({ title: 'Metadata keys', description: 'Keys of the message metadata.' }),
    checkAllKeys: Type.Boolean({ title: 'All of them', description: 'Off: one of the keys is enough. Without any key, all are there, and none.' }),
  }),
  defaults: { messageNames: [], metadataNames: [], checkAllKeys: true },
  process(message, { config: { messageNames, metadataNames, checkAllKeys } }) {
    // One after the other: what is not reached can not fail.
    const found = inData(message, messageNames, checkAllKeys);
    return (found === checkAllKeys ? inMetadata(message, metadataNames, checkAllKeys) : found) ? 'True' : 'False';
  },
});

type Names = readonly (string | null)[] | null;

/** Are all of them there, or one? */
function inData(message: Message, names: Names, all: boolean): boolean {
  const asked = checked(names);
  if (asked.length === 0) return all;
  const keys = keysOf(json(message));
  const has = (name: string | null): boolean => name !== null && keys.has(name);
  return all ? asked.every(has) : asked.some(has);
}

function inMetadata({ metadata }: Message, names: Names, all: boolean): boolean {
  const has = (name: string | null): boolean => {
    if (name === null) throw new Error('A key to check is null!');
    return Object.hasOwn(metadata, name);
  };
  const asked = checked(names);
  return all ? asked.every(has) : asked.some(has);
}

function checked(names: Names): readonly (string | null)[] {
  if (names === null) throw new Error('Keys to check are not set!');
  return names;
}

/** Pairs of a key and a value read as an object, in the original: an empty array as one without keys (rule-nodes §7 row 6). */
function keysOf(data: Json): ReadonlySet<Json> {
  if (isJsonObject(data)) return new Set(Object.keys(data));
  if (!Array.isArray(data) || !data.every((pair) => Array.isArray(pair) && pair.length === 2)) throw new Error('Message body is not an object!');
  const keys = new Set((data as [Json, Json][]).map(([key]) => key));
  if (keys.size < data.length) throw new Error('Message body has a key twice!');
  return keys;
}
