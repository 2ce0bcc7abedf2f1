import { json, printJson } from '#engine/json.ts';
import { type Message, metadataTs } from '#engine/message.ts';

/** Intervals of "deduplication": each begins with the earliest message that is in none before. */

/**
 * @param messages in the order in which they came.
 * @returns the packs whose interval is over at `now`, and what is left; each in the order in which they came.
 */
export function closedPacks(
  messages: readonly Message[],
  intervalMs: number,
  now: number,
): { readonly packs: readonly (readonly Message[])[]; readonly left: readonly Message[] } {
  const entries = messages.map((message, place) => ({ message, place, ts: metadataTs(message) }));
  const inTime = entries.toSorted((a, b) => a.ts - b.ts);
  const packs: Message[][] = [];
  let from = 0;
  while (from < inTime.length) {
    const end = inTime[from]!.ts + Math.max(1, intervalMs);
    if (end > now) break;
    let to = from;
    while (to < inTime.length && inTime[to]!.ts < end) to++;
    packs.push(asTheyCame(inTime.slice(from, to)));
    from = to;
  }
  return { packs, left: asTheyCame(inTime.slice(from)) };
}

const asTheyCame = (entries: readonly { message: Message; place: number }[]): Message[] =>
  entries.toSorted((a, b) => a.place - b.place).map(({ message }) => message);

/** The earliest or the latest of a pack; of equal ones the one that came first. */
export const representative = (pack: readonly Message[], earliest: boolean): Message =>
  pack.reduce((best, message) => {
    const [ts, bestTs] = [metadataTs(message), metadataTs(best)];
    return earliest ? (ts < bestTs ? message : best) : ts > bestTs ? message : best;
  });

/** `[{"msg", "metadata"}, …]` */
export const mergedData = (pack: readonly Message[]): string =>
  `[${pack.map((message) => `{"msg":${dataJson(message)},"metadata":${JSON.stringify(message.metadata)}}`).join(',')}]`;

/** Data that is no JSON is a text there: nothing that was acknowledged may be lost for it. */
function dataJson(message: Message): string {
  try {
    return printJson(json(message));
  } catch {
    return JSON.stringify(message.data);
  }
}
