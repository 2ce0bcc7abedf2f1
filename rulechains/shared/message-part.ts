import { Type } from 'typebox';
import { type FieldText, nullable, texts } from './fields.ts';
import { type WholeMatch, wholeMatch } from './java-pattern.ts';

/** What "copy key-value pairs", "delete key-value pairs" and "rename keys" share: a part of the message, and keys by patterns. */

export type MessagePart = 'DATA' | 'METADATA';

export const messagePart = (text: FieldText) => nullable(Type.Enum(['DATA', 'METADATA']), text);

export const keyPatterns = texts({
  title: 'Keys',
  description: 'Regular expressions; each must match a whole key. Top level only.',
  examples: [['temperature', '.*Key$']],
});

/**
 * Configurations before version 2 called the part by another name, first as a flag. Without it, or with another value, they can not be upgraded.
 * @param newKey its name today. @param oldKey that of version 1.
 */
export function partUpgrades(newKey: string, oldKey: string): ((config: Record<string, unknown>) => Record<string, unknown>)[] {
  return [
    ({ fromMetadata, ...config }) => {
      if (String(fromMetadata) !== 'true' && String(fromMetadata) !== 'false') throw new Error('Property fromMetadata must be true or false!');
      return { ...config, [newKey]: String(fromMetadata) === 'true' ? 'METADATA' : 'DATA' };
    },
    (config) => {
      if (newKey in config) return config;
      const { [oldKey]: part, ...rest } = config;
      if (part !== 'DATA' && part !== 'METADATA') throw new Error(`Property ${oldKey} must be DATA or METADATA!`);
      return { ...rest, [newKey]: part };
    },
  ];
}

/** For `start`: does one of the patterns match the key? @throws Error with the reason why the node can not run. */
export function startKeys(part: MessagePart | null, name: string, keys: readonly (string | null)[] | null): WholeMatch {
  if (part === null) throw new Error(`${name} can't be null! Allowed values: [DATA, METADATA]`);
  if (keys === null) throw new Error('Keys are not set!');
  const matches = keys.map((key) => {
    if (key === null) throw new Error('A key is null!');
    return wholeMatch(key);
  });
  return (key) => matches.some((match) => match(key));
}
