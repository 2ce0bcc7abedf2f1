import { AppError } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import { type Batch, laneOf } from '#engine/queue.ts';
import type { Database } from '#engine/store/sqlite/database.ts';
import type { Numbers } from '#engine/store/sqlite/numbers.ts';
import type { Work } from '#engine/work.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';
import { Held, type HeldTake } from './held.ts';
import type { Pass } from './pass.ts';

/** Messages of one row: so that one row stays small and a batch stays near its `max`. */
export const ROW_MESSAGES = 256;
/** A lane with more rows than this grows its last row instead: the ledger counts rows, and a long backlog of single messages would make that slow. */
const MANY_ROWS = 256;
const GROWN_ROW = 16;
/** Characters of message data that wait in memory, over all lanes; beyond it they are read back from the file. */
const MEMORY_CHARS = 24_000_000;
/** What a message costs beside its data, roughly, in characters. */
const MESSAGE_CHARS = 600;

/** A row of the lane, in order. `messages` null: in the file only. */
interface Entry {
  readonly seq: number;
  readonly owner: number;
  readonly appendedAt: number;
  n: number;
  chars: number;
  messages: Message[] | null;
  /** Nobody has to be answered before it is worked on (`Work.answersFirst`). */
  ready: boolean;
}

interface Waiter {
  readonly max: number;
  readonly resolve: (batch: Batch | null) => void;
}

/** What a batch stands for. `aside`: its messages of held originators, that go behind those when the batch is done. */
interface Token {
  readonly entries: readonly Entry[];
  readonly held: readonly HeldTake[];
  readonly aside: readonly Message[];
  state: 'out' | 'done' | 'back';
}

interface Lane {
  readonly index: number;
  entries: Entry[];
  head: number;
  out: Batch | null;
  readonly waiters: Waiter[];
  /** Who waits for the lane to be through with what it has. */
  followers: Follower[];
  timer: NodeJS.Timeout | null;
}

interface Follower {
  readonly mark: number;
  readonly go: () => void;
}

const tokenOf = (batch: Batch): Token => batch.token as Token;

/** Lanes, and the held lists beside them. Rows live in the file; what was just appended is handed over in memory, in the same order. */
export class Lanes {
  readonly held: Held;
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly now: () => number;
  /** Commits a batch that has nothing to work on: all its messages go behind held ones. */
  private readonly settle: (batch: Batch) => Promise<void>;
  private readonly lanes: Lane[];
  private nextSeq: number;
  private chars = 0;
  private closed = false;
  count = 0;

  constructor(db: Database, numbers: Numbers, lanes: number, now: () => number, settle: (batch: Batch) => Promise<void>) {
    this.db = db;
    this.numbers = numbers;
    this.now = now;
    this.settle = settle;
    this.held = new Held(db, numbers, lanes);
    this.lanes = Array.from({ length: lanes }, (_, index) => ({ index, entries: [], head: 0, out: null, waiters: [], followers: [], timer: null }));
    this.nextSeq = 1 + (db.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM lane')!.seq ?? 0);
    for (const row of db.prepare('SELECT seq, lane, owner, n, appendedAt FROM lane ORDER BY seq').iterate() as Iterable<Entry & { lane: number }>) {
      this.lanes[row.lane]!.entries.push({
        seq: row.seq,
        owner: row.owner,
        appendedAt: row.appendedAt,
        n: row.n,
        chars: 0,
        messages: null,
        ready: true,
      });
      this.count += row.n;
    }
  }

  /** In the running transaction: appends messages to the lanes of their originators, each lane in the given order. */
  append(messages: readonly Message[], pass: Pass): void {
    const byLane = new Map<number, Message[]>();
    for (const message of messages) {
      const lane = laneOf(message.originator.id, this.lanes.length);
      const list = byLane.get(lane);
      if (list) list.push(message);
      else byLane.set(lane, [message]);
    }
    for (const [lane, list] of byLane) {
      let start = 0;
      while (start < list.length) {
        const { tenantId, owner } = list[start]!;
        let end = start + 1;
        while (end < list.length && end - start < ROW_MESSAGES && list[end]!.owner === owner && list[end]!.tenantId === tenantId) end++;
        this.appendRow(this.lanes[lane]!, this.numbers.owner(tenantId, owner), list.slice(start, end), pass);
        start = end;
      }
      pass.wake(() => this.serve(this.lanes[lane]!));
    }
  }

  private appendRow(lane: Lane, owner: number, messages: Message[], pass: Pass): void {
    const text = messages.map(encodeMessage).join('\n');
    const chars = messages.reduce((sum, message) => sum + message.data.length + MESSAGE_CHARS, 0);
    const last = lane.entries.length - lane.head > MANY_ROWS ? lane.entries.at(-1)! : null;
    if (last && last.owner === owner && last.n + messages.length <= GROWN_ROW) {
      this.db.run('UPDATE lane SET n = n + ?, messages = messages || char(10) || ? WHERE seq = ?', messages.length, text, last.seq);
      pass.afterCommit(() => {
        last.n += messages.length;
        this.count += messages.length;
        if (last.messages && this.chars + chars <= MEMORY_CHARS) {
          last.messages.push(...messages);
          last.chars += chars;
          this.chars += chars;
        } else this.drop(last);
      });
      return;
    }
    const seq = this.nextSeq++;
    this.db.run(
      'INSERT INTO lane (seq, lane, owner, n, appendedAt, messages) VALUES (?, ?, ?, ?, ?, ?)',
      seq,
      lane.index,
      owner,
      messages.length,
      pass.now,
      text,
    );
    const entry: Entry = { seq, owner, appendedAt: pass.now, n: messages.length, chars: 0, messages: null, ready: false };
    pass.afterCommit(() => {
      if (this.chars + chars <= MEMORY_CHARS) {
        entry.messages = messages;
        entry.chars = chars;
        this.chars += chars;
      }
      lane.entries.push(entry);
      this.count += messages.length;
    });
    pass.wake(() => {
      entry.ready = true;
    });
  }

  /**
   * In the running transaction: removes a taken batch, and puts its messages of held originators behind the held ones.
   * @throws AppError `stale-batch` when the batch was done or given back before: its effects may not happen twice.
   */
  done(batch: Batch, pass: Pass): void {
    const token = tokenOf(batch);
    const lane = this.lanes[batch.lane]!;
    const stale = () =>
      new AppError('stale-batch', 'never', `The batch of lane ${batch.lane} was already ${token.state === 'back' ? 'given back' : 'done'}`);
    if (token.state !== 'out') throw stale();
    for (const { seq } of token.entries) if (this.db.run('DELETE FROM lane WHERE seq = ?', seq) !== 1) throw stale();
    for (const take of token.held) if (!this.held.remove(take)) throw stale();
    for (const messages of byOriginator(token.aside).values()) this.held.add(messages, () => 0, 'end');
    pass.afterCommit(() => {
      token.state = 'done';
      for (const entry of token.entries) {
        this.drop(entry);
        this.count -= entry.n;
      }
      for (const originator of new Set([...token.held.map((take) => take.originator), ...token.aside.map((message) => message.originator.id)]))
        this.held.refresh(originator);
      lane.out = null;
    });
    pass.wake(() => {
      this.letGo(lane);
      this.serve(lane);
    });
  }

  /** In the running transaction, after `done`. */
  hold(work: Work, pass: Pass): void {
    const taken = new Set(work.done.flatMap((batch) => batch.messages.map((message) => message.originator.id)));
    const notBefore = new Map(work.held.map((entry) => [entry.message, entry.notBefore]));
    for (const [originator, messages] of byOriginator(work.held.map((entry) => entry.message))) {
      // What comes out of a batch was before everything that still waits of its originator; what comes from elsewhere is the newest.
      this.held.add(messages, (index) => notBefore.get(messages[index]!)!, taken.has(originator) ? 'front' : 'end');
      pass.afterCommit(() => this.held.refresh(originator));
      pass.wake(() => this.serve(this.lanes[laneOf(originator, this.lanes.length)]!));
    }
  }

  take(index: number, max: number, signal: AbortSignal): Promise<Batch | null> {
    const lane = this.lanes[index]!;
    if (signal.aborted || this.closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      const abort = () => {
        const at = lane.waiters.indexOf(waiter);
        if (at >= 0) lane.waiters.splice(at, 1);
        resolve(null);
      };
      const waiter: Waiter = {
        max,
        resolve: (batch) => {
          signal.removeEventListener('abort', abort);
          resolve(batch);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      lane.waiters.push(waiter);
      this.serve(lane);
    });
  }

  mark(): number {
    return this.nextSeq - 1;
  }

  caughtUp(originatorId: string, mark: number, atMostMs: number): Promise<void> {
    const lane = this.lanes[laneOf(originatorId, this.lanes.length)]!;
    if (this.firstSeq(lane) > mark) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => follower.go(), atMostMs);
      const follower: Follower = {
        mark,
        go: () => {
          clearTimeout(timer);
          lane.followers = lane.followers.filter((other) => other !== follower);
          resolve();
        },
      };
      lane.followers.push(follower);
    });
  }

  private letGo(lane: Lane): void {
    if (lane.followers.length === 0) return;
    const first = this.firstSeq(lane);
    for (const follower of lane.followers) if (first > follower.mark) follower.go();
  }

  /** Of what is not through yet. */
  private firstSeq(lane: Lane): number {
    return this.first(lane)?.seq ?? Number.POSITIVE_INFINITY;
  }

  private first(lane: Lane): Entry | undefined {
    return (lane.out ? tokenOf(lane.out).entries[0] : undefined) ?? lane.entries[lane.head];
  }

  giveBack(batch: Batch): void {
    const token = tokenOf(batch);
    if (token.state !== 'out') return;
    token.state = 'back';
    const lane = this.lanes[batch.lane]!;
    lane.entries.splice(lane.head, 0, ...token.entries);
    lane.out = null;
    this.serve(lane);
  }

  /** When the oldest message in a lane was appended. */
  oldestAt(): number | null {
    let oldest: number | null = null;
    for (const lane of this.lanes) {
      const first = this.first(lane);
      if (first && (oldest === null || first.appendedAt < oldest)) oldest = first.appendedAt;
    }
    return oldest;
  }

  close(): void {
    this.closed = true;
    for (const lane of this.lanes) {
      if (lane.timer) clearTimeout(lane.timer);
      for (const waiter of lane.waiters.splice(0)) waiter.resolve(null);
      for (const follower of lane.followers) follower.go();
    }
  }

  /** Gives the first waiter what there is, or sets the clock for the next held message. */
  private serve(lane: Lane): void {
    if (lane.out || this.closed || lane.waiters.length === 0) return;
    if (lane.timer) clearTimeout(lane.timer);
    lane.timer = null;
    const batch = this.gather(lane, lane.waiters[0]!.max);
    if (!batch) {
      const dueAt = Math.min(...[...this.held.of(lane.index).values()].map((list) => list.dueAt));
      if (Number.isFinite(dueAt)) lane.timer = setTimeout(() => this.serve(lane), Math.min(Math.max(1, dueAt - this.now()), 2 ** 31 - 1));
      return;
    }
    lane.out = batch;
    if (batch.messages.length > 0) lane.waiters.shift()!.resolve(batch);
    else
      this.settle(batch).catch(() => {
        // The disk is full: the rows are as they were, and are tried again.
        lane.timer = setTimeout(() => this.giveBack(batch), 1000);
      });
  }

  private gather(lane: Lane, max: number): Batch | null {
    const messages: Message[] = [];
    const held: HeldTake[] = [];
    const lists = this.held.of(lane.index);
    /** Originators whose held list stays, or stays in part: what they have in the lane goes behind it. */
    const behind = new Set(lists.keys());
    if (lists.size > 0) {
      const now = this.now();
      for (const [originator, list] of lists) {
        if (messages.length >= max) break;
        if (list.dueAt > now) continue;
        const due = this.held.read(originator, max - messages.length, now);
        messages.push(...due.messages);
        held.push(due.take);
        if (due.take.n === list.n) behind.delete(originator);
      }
    }
    const entries: Entry[] = [];
    const aside: Message[] = [];
    while (lane.entries[lane.head]?.ready && messages.length + aside.length < max) {
      const entry = lane.entries[lane.head++]!;
      entries.push(entry);
      const list = entry.messages ?? this.readBack(entry.seq);
      if (behind.size === 0) messages.push(...list);
      else for (const message of list) (behind.has(message.originator.id) ? aside : messages).push(message);
    }
    if (lane.head > 1024 && lane.head * 2 > lane.entries.length) {
      lane.entries = lane.entries.slice(lane.head);
      lane.head = 0;
    }
    if (entries.length === 0 && held.length === 0) return null;
    return { lane: lane.index, messages, token: { entries, held, aside, state: 'out' } satisfies Token };
  }

  private readBack(seq: number): Message[] {
    const row = this.db.get<{ messages: string }>('SELECT messages FROM lane WHERE seq = ?', seq);
    // A row that is gone behind our back gives nothing; `done` notices it.
    return row ? row.messages.split('\n').map(decodeMessage) : [];
  }

  private drop(entry: Entry): void {
    this.chars -= entry.chars;
    entry.chars = 0;
    entry.messages = null;
  }
}

function byOriginator(messages: readonly Message[]): Map<string, Message[]> {
  const lists = new Map<string, Message[]>();
  for (const message of messages) {
    const list = lists.get(message.originator.id);
    if (list) list.push(message);
    else lists.set(message.originator.id, [message]);
  }
  return lists;
}
