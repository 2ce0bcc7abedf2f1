import type { Message } from '#engine/message.ts';
import { laneOf } from '#engine/queue.ts';
import type { Database } from '#engine/store/sqlite/database.ts';
import type { Numbers } from '#engine/store/sqlite/numbers.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';

/** What waits of one originator, in memory: how much and until when. The messages stay in the file. */
export interface HeldList {
  readonly n: number;
  /** Of its first message: the others wait behind it. */
  readonly dueAt: number;
}

/** Messages taken from a held list: the first `n`, up to position `last`. */
export interface HeldTake {
  readonly originator: string;
  readonly first: number;
  readonly last: number;
  readonly n: number;
}

/** Held messages of every originator, in the order in which they must come again. */
export class Held {
  private readonly db: Database;
  private readonly numbers: Numbers;
  private readonly lanes: Map<string, HeldList>[];
  count = 0;

  constructor(db: Database, numbers: Numbers, lanes: number) {
    this.db = db;
    this.numbers = numbers;
    this.lanes = Array.from({ length: lanes }, () => new Map());
    for (const { originator } of db.all<{ originator: string }>('SELECT DISTINCT originator FROM held')) this.refresh(originator);
  }

  of(lane: number): ReadonlyMap<string, HeldList> {
    return this.lanes[lane]!;
  }

  /** In the running transaction. Before what waits already when these came out of its front, else behind it. */
  add(messages: readonly Message[], notBefore: (index: number) => number, place: 'front' | 'end'): void {
    const originator = messages[0]!.originator.id;
    const span = this.db.get<{ low: number | null; high: number | null }>(
      'SELECT min(pos) AS low, max(pos) AS high FROM held WHERE originator = ?',
      originator,
    )!;
    let pos = place === 'front' ? (span.low ?? 0) - messages.length : (span.high ?? -1) + 1;
    for (const [index, message] of messages.entries()) {
      this.db.run(
        'INSERT INTO held (originator, pos, lane, owner, notBefore, message) VALUES (?, ?, ?, ?, ?, ?)',
        originator,
        pos++,
        laneOf(originator, this.lanes.length),
        this.numbers.owner(message.tenantId, message.owner),
        notBefore(index),
        encodeMessage(message),
      );
    }
  }

  /** The messages of a list that are due, at most `max`. */
  read(originator: string, max: number, now: number): { messages: Message[]; take: HeldTake } {
    const rows = this.db.all<{ pos: number; notBefore: number; message: string }>(
      'SELECT pos, notBefore, message FROM held WHERE originator = ? ORDER BY pos LIMIT ?',
      originator,
      max,
    );
    const later = rows.findIndex((row) => row.notBefore > now);
    const due = later < 0 ? rows : rows.slice(0, later);
    return {
      messages: due.map((row) => decodeMessage(row.message)),
      take: { originator, first: due[0]?.pos ?? 0, last: due.at(-1)?.pos ?? -1, n: due.length },
    };
  }

  /** In the running transaction. False when they are not all there any more. */
  remove({ originator, first, last, n }: HeldTake): boolean {
    return this.db.run('DELETE FROM held WHERE originator = ? AND pos BETWEEN ? AND ?', originator, first, last) === n;
  }

  /** After a commit: what the file holds of this originator now. */
  refresh(originator: string): void {
    const lane = this.lanes[laneOf(originator, this.lanes.length)]!;
    this.count -= lane.get(originator)?.n ?? 0;
    const n = this.db.get<{ n: number }>('SELECT count(*) AS n FROM held WHERE originator = ?', originator)!.n;
    this.count += n;
    if (n === 0) {
      lane.delete(originator);
      return;
    }
    const first = this.db.get<{ notBefore: number }>('SELECT notBefore FROM held WHERE originator = ? ORDER BY pos LIMIT 1', originator)!;
    lane.set(originator, { n, dueAt: first.notBefore });
  }
}
