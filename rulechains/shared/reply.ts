import type { Message } from '#engine/message.ts';

/** The metadata value that says where an answer goes. @param name for the error. @throws Error when it is not there. */
export function metadataUnder(message: Message, key: string | null, fallback: string, name: string): string {
  const value = message.metadata[key?.trim() ? key : fallback];
  if (!value) throw new Error(`${name} is not present in the metadata!`);
  return value;
}
