import { firstJson, isJsonObject, plainText, printJson } from '#engine/json.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { keyPatterns, messagePart, partUpgrades, startKeys } from '../../shared/message-part.ts';

/** Data must be an object, else the message goes on as it is. What is copied to the metadata becomes text, what is copied to the data stays text. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbCopyKeysNode',
  version: 2,
  family: 'TRANSFORMATION',
  label: 'copy key-value pairs',
  summary: 'Copies keys of the message data to its metadata, or the other way.',
  relations: ['Success'],
  config: Config({
    copyFrom: messagePart({ title: 'Copy from', description: 'Message data or metadata; they are copied to the other one.' }),
    keys: keyPatterns,
  }),
  defaults: { copyFrom: 'DATA', keys: [] },
  upgrades: partUpgrades('copyFrom', 'fromMetadata'),
  start: ({ config: { copyFrom, keys } }) => startKeys(copyFrom, 'CopyFrom', keys),
  process(message, { config, state: isWanted }) {
    const data = firstJson(message);
    if (!isJsonObject(data)) return 'Success';
    if (config.copyFrom === 'DATA') {
      const copied = Object.entries(data).filter(([key]) => isWanted(key));
      if (copied.length === 0) return 'Success';
      const added = copied.map(([key, value]): [string, string] => [key, plainText(value)]);
      return { to: 'Success', message: withChanges(message, { metadata: Object.fromEntries([...Object.entries(message.metadata), ...added]) }) };
    }
    const copied = Object.entries(message.metadata).filter(([key]) => isWanted(key));
    if (copied.length === 0) return 'Success';
    return { to: 'Success', message: withChanges(message, { data: printJson(Object.fromEntries([...Object.entries(data), ...copied])) }) };
  },
});
