import type { Message } from '#engine/message.ts';
import { fillPattern } from '#engine/pattern.ts';

/** A pattern of a configuration; one that is not there fails like one that can not be filled. @throws Error `Failed to process pattern!` */
export function fillRequired(pattern: string | null, message: Message): string {
  if (pattern === null) throw new Error('Failed to process pattern!');
  return fillPattern(pattern, message);
}
