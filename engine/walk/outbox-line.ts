import type { Kept } from '#engine/store.ts';
import type { TargetState } from './outbox.ts';

/** Messages of a line in memory; what is beyond waits in the store. */
const WINDOW = 1000;
const LOW_WATER = 200;
/** One failure is that of a message, or of a connection; so many in a row are the target's. */
const AWAY_AFTER = 5;
const LONGEST_PAUSE_MS = 60_000;

/** What waits for one target of a node: in order, each originator's one by one, all of it behind a single probe while the target is away. */
export class OutboxLine {
  readonly name: string;
  readonly tenantId: string;
  readonly nodeId: string;
  readonly target: string;
  private readonly firstPauseMs: number;
  /** Failures since it last worked. */
  private inRow = 0;
  /** Of those, rounds since it is taken for away. */
  private rounds = 0;
  /** Originators whose first message failed, until when they rest. */
  private readonly resting = new Map<string, { tries: number; until: number }>();
  private window: Kept[] = [];
  /** By originator. */
  private readonly flying = new Map<string, Kept>();
  /** Ids of both. */
  private readonly known = new Set<string>();
  /** There are more in the store. */
  private overflow = false;
  /** Came while the store was being read; null: it is not. */
  private meanwhile: Kept[] | null = null;
  /** Ended while the store was being read, which may still show them. */
  private readonly ended = new Set<string>();
  private reason: string | null = null;
  private awaySince = 0;
  private awayUntil = 0;
  private timer: NodeJS.Timeout | null = null;

  constructor(name: string, { message, nodeId, key }: Kept, firstPauseMs: number) {
    this.firstPauseMs = firstPauseMs;
    this.name = name;
    this.tenantId = message.tenantId;
    this.nodeId = nodeId;
    this.target = key;
  }

  add(kept: Kept): void {
    if (this.known.has(kept.message.id)) return;
    if (this.meanwhile) this.meanwhile.push(kept);
    else if (this.overflow || this.window.length >= WINDOW) this.overflow = true;
    else this.push(kept);
  }

  private push(kept: Kept): void {
    this.window.push(kept);
    this.known.add(kept.message.id);
  }

  /** The next that may be sent now. */
  peek(now: number): Kept | null {
    if (now < this.awayUntil || (this.rounds > 0 && this.flying.size > 0)) return null;
    return (
      this.window.find(({ message: { originator } }) => !this.flying.has(originator.id) && (this.resting.get(originator.id)?.until ?? 0) <= now) ??
      null
    );
  }

  take(kept: Kept): void {
    this.window.splice(this.window.indexOf(kept), 1);
    this.flying.set(kept.message.originator.id, kept);
  }

  /** It was not sent; it stays the first of its originator. @returns how often that happened to it since it came into memory */
  failed(kept: Kept, reason: string, now: number): number {
    const { id } = kept.message.originator;
    this.window.unshift(kept);
    const tries = (this.resting.get(id)?.tries ?? 0) + 1;
    this.resting.set(id, { tries, until: now + this.pauseMs(tries) });
    this.reason = reason;
    // What was under way when the target went fails too and is of the same round.
    if (++this.inRow < AWAY_AFTER || now < this.awayUntil) return tries;
    if (this.rounds++ === 0) this.awaySince = now;
    this.awayUntil = now + this.pauseMs(this.rounds);
    return tries;
  }

  triesOf({ message }: Kept): number {
    return this.resting.get(message.originator.id)?.tries ?? 0;
  }

  works({ message }: Kept): void {
    this.inRow = 0;
    this.rounds = 0;
    this.awayUntil = 0;
    this.reason = null;
    this.resting.delete(message.originator.id);
  }

  private pauseMs(times: number): number {
    return Math.min(this.firstPauseMs * 2 ** (times - 1), LONGEST_PAUSE_MS);
  }

  landed(kept: Kept): void {
    this.flying.delete(kept.message.originator.id);
    if (this.window.includes(kept)) return;
    this.known.delete(kept.message.id);
    if (this.meanwhile) this.ended.add(kept.message.id);
  }

  /** Calls when something that rests now may be tried again. */
  wake(now: number, callback: () => void): void {
    if (this.timer || this.window.length === 0) return;
    let at = this.awayUntil;
    if (at <= now) {
      if (this.resting.size === 0) return;
      at = Number.POSITIVE_INFINITY;
      for (const { until } of this.resting.values()) if (until > now && until < at) at = until;
      if (at === Number.POSITIVE_INFINITY) return;
    }
    this.timer = setTimeout(() => {
      this.timer = null;
      callback();
    }, at - now);
  }

  get isShort(): boolean {
    return this.overflow && this.meanwhile === null && this.window.length < LOW_WATER;
  }

  /** How many of the oldest to read, so that there are new ones among them. */
  beginRefill(): number {
    this.meanwhile = [];
    return this.known.size + WINDOW;
  }

  /** @param isAll that is all there is. */
  endRefill(kept: readonly Kept[], isAll: boolean): void {
    const meanwhile = this.meanwhile ?? [];
    this.meanwhile = null;
    for (const item of kept) if (!this.known.has(item.message.id) && !this.ended.has(item.message.id)) this.push(item);
    this.ended.clear();
    if (!isAll) return;
    this.overflow = false;
    for (const item of meanwhile) this.add(item);
  }

  failRefill(): void {
    this.meanwhile = null;
    this.ended.clear();
  }

  /** Another process has them now. */
  drop(isGone: (kept: Kept) => boolean): void {
    for (const kept of this.window) if (isGone(kept)) this.known.delete(kept.message.id);
    this.window = this.window.filter((kept) => !isGone(kept));
  }

  clear(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.drop(() => true);
  }

  get isIdle(): boolean {
    return this.window.length === 0 && this.flying.size === 0 && !this.overflow && this.meanwhile === null;
  }

  state(): TargetState {
    const { nodeId, target, reason, awaySince: since, awayUntil: nextAt } = this;
    return { nodeId, target, waiting: this.window.length, sending: this.flying.size, reason, away: this.rounds === 0 ? null : { since, nextAt } };
  }
}
