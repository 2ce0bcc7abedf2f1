import type { Message } from '#engine/message.ts';
import type { Backend } from '#engine/queue.ts';
import { laneOf } from '#engine/queue.ts';
import { Work } from '#engine/work.ts';

/** The messages that wait in the lane of an originator, taken out of it; none: `[]`. Messages of others in the same lane are thrown away with them. */
export async function takeMessages({ queue, commit }: Backend, originatorId: string): Promise<Message[]> {
  if (queue.depth().messages === 0) return [];
  const stop = new AbortController();
  const taking = queue.take(laneOf(originatorId, queue.lanes), 1000, stop.signal);
  // What waits is given at once; who waits for the next one is told to go after a turn of the loop.
  setTimeout(() => stop.abort(), 200).unref();
  const batch = await taking;
  if (!batch) return [];
  const work = new Work();
  work.done.push(batch);
  await commit(work);
  return batch.messages.filter(({ originator }) => originator.id === originatorId);
}
