import type { Message } from '#engine/message.ts';
import type { Outcome } from '#engine/node.ts';

/** For nodes that read what the messages before may have written: one message after the other, an error belongs to its message alone. */
export async function inOrder(messages: readonly Message[], process: (message: Message) => Promise<Outcome>): Promise<(Outcome | Error)[]> {
  const outcomes: (Outcome | Error)[] = [];
  for (const message of messages) {
    try {
      outcomes.push(await process(message));
    } catch (cause) {
      outcomes.push(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }
  return outcomes;
}
