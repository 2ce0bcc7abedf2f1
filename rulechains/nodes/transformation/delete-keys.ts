import { firstJson, isJsonObject, printJson } from '#engine/json.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { keyPatterns, messagePart, partUpgrades, startKeys } from '../../shared/message-part.ts';

/** Data that is no object stays as it is; without a match the message keeps its text. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbDeleteKeysNode',
  version: 2,
  family: 'TRANSFORMATION',
  label: 'delete key-value pairs',
  summary: 'Removes keys from the message data or metadata.',
  relations: ['Success'],
  config: Config({
    deleteFrom: messagePart({ title: 'Delete from', description: 'Message data or metadata.' }),
    keys: keyPatterns,
  }),
  defaults: { deleteFrom: 'DATA', keys: [] },
  upgrades: partUpgrades('deleteFrom', 'dataToFetch'),
  start: ({ config: { deleteFrom, keys } }) => startKeys(deleteFrom, 'DeleteFrom', keys),
  process(message, { config, state: isUnwanted }) {
    if (config.deleteFrom === 'METADATA') {
      const metadata = without(message.metadata, isUnwanted);
      return { to: 'Success', message: metadata ? withChanges(message, { metadata }) : message };
    }
    const data = firstJson(message);
    const left = isJsonObject(data) ? without(data, isUnwanted) : null;
    return { to: 'Success', message: left ? withChanges(message, { data: printJson(left) }) : message };
  },
});

/** null: none of the keys is there. */
function without<T>(object: Readonly<Record<string, T>>, isUnwanted: (key: string) => boolean): Record<string, T> | null {
  const entries = Object.entries(object);
  const left = entries.filter(([key]) => !isUnwanted(key));
  return left.length === entries.length ? null : Object.fromEntries(left);
}
