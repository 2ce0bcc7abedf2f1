import type { Message } from '#engine/message.ts';

/** As `Integer.parseInt`. @throws Error with its text. */
export function checkInteger(text: string): void {
  const value = /^[-+]?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= -(2 ** 31) && value < 2 ** 31)) throw new Error(`For input string: "${text}"`);
}

/** The metadata value that says where an answer goes. @param name for the error. @throws Error when it is not there. */
export function metadataUnder(message: Message, key: string | null, fallback: string, name: string): string {
  const value = message.metadata[key?.trim() ? key : fallback];
  if (!value) throw new Error(`${name} is not present in the metadata!`);
  return value;
}
