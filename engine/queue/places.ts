import { timeOf } from '../id.ts';

/** Since 2020, so that the product stays an exact number. */
const EPOCH_MS = 1_577_836_800_000;
/** Places of one millisecond. */
export const PLACES_IN_MS = 2 ** 14;
/** In 2037, or by a clock that is wrong: from here places go on one by one. */
const LAST = 2 ** 53 - 2 ** 40;

/** Places in an order that follows the clock: the first of a moment. */
export const placeAt = (ms: number): number => Math.min(Math.max(0, ms - EPOCH_MS) * PLACES_IN_MS, LAST);

/** Remembered, at most. */
const MOST = 2000;
/** How far the clocks of two machines may be apart. */
const SKEW_MS = 60_000;
const VERSION_AT = 14;

/** The ends of pages that were given out: whoever reads on may name a message that is gone by then, or that has come again at another place. */
export class Places {
  private readonly ends = new Map<string, number>();

  remember(scope: string, messageId: string, place: number): void {
    const name = `${scope}/${messageId}`;
    this.ends.delete(name);
    if (this.ends.size >= MOST) this.ends.delete(this.ends.keys().next().value!);
    this.ends.set(name, place);
  }

  find(scope: string, messageId: string): number | undefined {
    return this.ends.get(`${scope}/${messageId}`);
  }
}

/** Of a message that is gone and that nobody remembers: it was kept after it was made. Some may come twice, and none is left out. */
export const earliestPlace = (messageId: string): number =>
  messageId[VERSION_AT] === '1' ? placeAt(timeOf(messageId) - SKEW_MS) : Number.MIN_SAFE_INTEGER;
