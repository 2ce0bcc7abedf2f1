import { Type } from 'typebox';
import { isJsonObject, json } from '#engine/json.ts';
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
    if (!messageNames || !metadataNames) throw new Error('Keys to check are not set!');
    const data = messageNames.length > 0 ? dataOf(message) : {};
    const found = [
      ...messageNames.map((name) => Object.hasOwn(data, String(name))),
      ...metadataNames.map((name) => Object.hasOwn(message.metadata, String(name))),
    ];
    return (checkAllKeys ? found.every(Boolean) : found.some(Boolean)) ? 'True' : 'False';
  },
});

function dataOf(message: Message): object {
  const data = json(message);
  // The original reads an empty array as a map without entries (rule-nodes §7 row 6).
  if (Array.isArray(data) && data.length === 0) return {};
  if (!isJsonObject(data)) throw new Error('Message body is not an object!');
  return data;
}
