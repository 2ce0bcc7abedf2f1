import { ATTRIBUTE_SCOPES, type AttributeScope, type Message } from '#engine/message.ts';

/** Metadata `scope` wins over the configured one, unless it is empty. @throws Error when it is no scope. */
export function scopeOf(message: Message, configured: string | null): AttributeScope {
  const name = message.metadata['scope'] || configured;
  if (name === null || name === '') throw new Error('Attribute scope is not set!');
  return attributeScope(name);
}

/** @throws Error when it is no scope. */
export function attributeScope(name: string): AttributeScope {
  if (!(ATTRIBUTE_SCOPES as readonly string[]).includes(name)) throw new Error(`Unknown attribute scope: ${name}`);
  return name as AttributeScope;
}

export const isTrue = (text: string | undefined): boolean => text?.toLowerCase() === 'true';
