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

/** The same for nodes to which only messages of one originator matter to each other: originators beside each other, each in its order. */
export async function inOrderByOriginator(
  messages: readonly Message[],
  process: (message: Message) => Promise<Outcome>,
): Promise<(Outcome | Error)[]> {
  const groups = new Map<string, Message[]>();
  for (const message of messages) {
    const group = groups.get(message.originator.id);
    if (group) group.push(message);
    else groups.set(message.originator.id, [message]);
  }
  const outcomes = new Map<Message, Outcome | Error>();
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const done = await inOrder(group, process);
      for (const [index, message] of group.entries()) outcomes.set(message, done[index]!);
    }),
  );
  return messages.map((message) => outcomes.get(message)!);
}
