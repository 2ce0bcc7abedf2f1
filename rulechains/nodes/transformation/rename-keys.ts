import { Type } from 'typebox';
import { firstJson, isJsonObject, printJson } from '#engine/json.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { messagePart, partUpgrades } from '../../shared/message-part.ts';

/** One after the other, in the order of the mapping: {a→b, b→a} leaves only a. A key renamed to itself is gone. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.transform.TbRenameKeysNode',
  version: 2,
  family: 'TRANSFORMATION',
  label: 'rename keys',
  summary: 'Renames keys of the message data or metadata.',
  relations: ['Success'],
  config: Config({
    renameIn: messagePart({ title: 'Rename in', description: 'Message data (an object, else it stays as it is) or metadata.' }),
    renameKeysMapping: nullable(Type.Record(Type.String(), Type.Union([Type.String(), Type.Null()])), {
      title: 'Names',
      description: 'Present key → new key, both literally.',
      examples: [{ temperatureCelsius: 'temperature' }],
    }),
  }),
  defaults: { renameIn: 'DATA', renameKeysMapping: { temperatureCelsius: 'temperature' } },
  upgrades: partUpgrades('renameIn', 'fromMetadata'),
  start({ config }) {
    if (config.renameIn === null) throw new Error("RenameIn can't be null! Allowed values: [DATA, METADATA]");
    if (Object.keys(config.renameKeysMapping ?? {}).length === 0) throw new Error('At least one mapping entry should be specified!');
  },
  process(message, { config }) {
    const names = Object.entries(config.renameKeysMapping!);
    if (config.renameIn === 'METADATA') {
      const metadata = renamed(message.metadata, names);
      return { to: 'Success', message: metadata ? withChanges(message, { metadata }) : message };
    }
    const data = firstJson(message);
    const changed = isJsonObject(data) ? renamed(data, names) : null;
    return { to: 'Success', message: changed ? withChanges(message, { data: printJson(changed) }) : message };
  },
});

/** null: none of the keys is there. */
function renamed<T>(object: Readonly<Record<string, T>>, names: readonly (readonly [string, string | null])[]): Record<string, T> | null {
  const entries = new Map(Object.entries(object));
  let isChanged = false;
  for (const [from, to] of names) {
    if (!entries.has(from)) continue;
    if (to === null) throw new Error(`The new name of '${from}' is not set!`);
    const value = entries.get(from)!;
    entries.set(to, value);
    entries.delete(from);
    isChanged = true;
  }
  return isChanged ? Object.fromEntries(entries) : null;
}
