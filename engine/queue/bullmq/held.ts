import type { ClientSession, Collection } from 'mongodb';
import type { Message } from '#engine/message.ts';
import { laneOf } from '#engine/queue.ts';
import { decodeMessage, encodeMessage } from '../messages.ts';

/** `held`: one message that waits, and holds the later ones of its originator. */
export interface StoredHeld {
  /** `ORIGINATOR/POS` */
  readonly _id: string;
  readonly lane: number;
  readonly originator: string;
  readonly pos: number;
  readonly tenantId: string;
  readonly owner: string;
  readonly notBefore: number;
  readonly line: string;
}

/** What waits of one originator, in memory: how much, where, and until when. The messages stay in the database. */
export interface HeldList {
  readonly n: number;
  readonly low: number;
  readonly high: number;
  /** Of its first message: the others wait behind it. */
  readonly dueAt: number;
}

/** Messages taken from the front of a held list. */
export interface HeldTake {
  readonly originator: string;
  readonly positions: readonly number[];
}

/** What a transaction makes of the held lists, known when it has happened. */
export interface HeldDraft {
  readonly lists: Map<string, HeldList>;
  readonly docs: StoredHeld[];
}

const EMPTY: HeldList = { n: 0, low: 0, high: -1, dueAt: 0 };
/** Originators that are read at a time. */
const PAGE = 64;

export const heldId = (originator: string, pos: number): string => `${originator}/${pos}`;

/**
 * Held messages of every originator, in the order in which they must come again. Those of a lane are written by its holder alone, which knows their number and
 * places from memory.
 */
export class Held {
  private readonly collection: Collection<StoredHeld>;
  private readonly lanes: readonly Map<string, HeldList>[];
  /** Lists of which memory does not know when their first message is due. */
  private readonly unsure: readonly Set<string>[];
  private readonly isLoaded: boolean[];
  private readonly isDoubtful: boolean[];

  constructor(collection: Collection<StoredHeld>, lanes: number) {
    this.collection = collection;
    this.lanes = Array.from({ length: lanes }, () => new Map());
    this.unsure = Array.from({ length: lanes }, () => new Set());
    this.isLoaded = Array.from({ length: lanes }, () => false);
    this.isDoubtful = Array.from({ length: lanes }, () => false);
  }

  of(lane: number): ReadonlyMap<string, HeldList> {
    return this.lanes[lane]!;
  }

  /** Messages held in a lane; null: the lane is not ours. */
  countOf(lane: number): number | null {
    if (!this.isLoaded[lane]) return null;
    let count = 0;
    for (const { n } of this.lanes[lane]!.values()) count += n;
    return count;
  }

  async load(lane: number): Promise<void> {
    const lists = await this.read(lane, {});
    this.forget(lane);
    for (const [originator, list] of lists) this.lanes[lane]!.set(originator, list);
    this.isLoaded[lane] = true;
    this.isDoubtful[lane] = false;
  }

  /** What memory says of a lane may be wrong. */
  doubt(lane: number): void {
    this.isDoubtful[lane] = true;
  }

  forget(lane: number): void {
    this.lanes[lane]!.clear();
    this.unsure[lane]!.clear();
    this.isLoaded[lane] = false;
  }

  /** Asks the database for what memory does not know of this lane. */
  async refresh(lane: number): Promise<void> {
    if (this.isDoubtful[lane]) return this.load(lane);
    const unsure = this.unsure[lane]!;
    if (unsure.size === 0) return;
    const originators = [...unsure];
    const lists = await this.read(lane, { originator: { $in: originators } });
    for (const originator of originators) {
      unsure.delete(originator);
      const list = lists.get(originator);
      if (list) this.lanes[lane]!.set(originator, list);
      else this.lanes[lane]!.delete(originator);
    }
  }

  /** The messages that are due, of as many originators as there is room for, with what has to be removed when they are done. */
  async takeDue(lane: number, room: number, now: number): Promise<{ messages: Message[]; takes: HeldTake[] }> {
    const messages: Message[] = [];
    const takes: HeldTake[] = [];
    const due = [...this.lanes[lane]!].filter(([, list]) => list.dueAt <= now);
    while (due.length > 0 && messages.length < room) {
      let most = 0;
      const originators: string[] = [];
      while (due.length > 0 && originators.length < PAGE && (originators.length === 0 || messages.length + most + due[0]![1].n <= room)) {
        const [originator, { n }] = due.shift()!;
        originators.push(originator);
        most += n;
      }
      const rows = await this.collection
        .find({ lane, originator: { $in: originators } })
        .sort({ originator: 1, pos: 1 })
        .limit(Math.min(most, room - messages.length))
        .toArray();
      const found = Map.groupBy(rows, (row) => row.originator);
      if (found.size < originators.length) this.doubt(lane);
      for (const [originator, list] of found) {
        const later = list.findIndex((row) => row.notBefore > now);
        const ready = later < 0 ? list : list.slice(0, later);
        if (ready.length === 0) this.doubt(lane);
        if (ready.length === 0) continue;
        messages.push(...ready.map((row) => decodeMessage(row.line)));
        takes.push({ originator, positions: ready.map((row) => row.pos) });
      }
    }
    return { messages, takes };
  }

  draft(): HeldDraft {
    return { lists: new Map(), docs: [] };
  }

  /** In the running transaction: false when they are not all there any more. */
  async remove(takes: readonly HeldTake[], draft: HeldDraft, session: ClientSession): Promise<boolean> {
    if (takes.length === 0) return true;
    const ids = takes.flatMap(({ originator, positions }) => positions.map((pos) => heldId(originator, pos)));
    const { deletedCount } = await this.collection.deleteMany({ _id: { $in: ids } }, { session });
    if (deletedCount !== ids.length) return false;
    for (const { originator, positions } of takes) {
      const list = await this.listOf(originator, draft, session);
      // When the next one is due is asked for after the commit. No place is given again.
      draft.lists.set(originator, { ...list, n: list.n - positions.length, dueAt: Number.NaN });
    }
    return true;
  }

  /** In the running transaction. Before what waits already when these came out of its front, else behind it. */
  async add(
    messages: readonly Message[],
    notBefore: (index: number) => number,
    place: 'front' | 'end',
    draft: HeldDraft,
    session: ClientSession,
  ): Promise<void> {
    const originator = messages[0]!.originator.id;
    const list = await this.listOf(originator, draft, session);
    let pos = place === 'front' ? list.low - messages.length : list.high + 1;
    draft.lists.set(originator, {
      n: list.n + messages.length,
      low: place === 'front' ? pos : list.low,
      high: place === 'front' ? list.high : pos + messages.length - 1,
      dueAt: place === 'front' || list.n === 0 ? notBefore(0) : list.dueAt,
    });
    for (const [index, message] of messages.entries()) {
      draft.docs.push({
        _id: heldId(originator, pos),
        lane: laneOf(originator, this.lanes.length),
        originator,
        pos: pos++,
        tenantId: message.tenantId,
        owner: message.owner,
        notBefore: notBefore(index),
        line: encodeMessage(message),
      });
    }
  }

  /** In the running transaction, at its end. */
  async write({ docs }: HeldDraft, session: ClientSession): Promise<void> {
    if (docs.length > 0) await this.collection.insertMany(docs, { session });
  }

  /** After the commit. */
  committed({ lists }: HeldDraft): void {
    for (const [originator, list] of lists) {
      const lane = laneOf(originator, this.lanes.length);
      if (!this.isLoaded[lane]) continue;
      if (list.n > 0) this.lanes[lane]!.set(originator, list);
      else this.lanes[lane]!.delete(originator);
      if (list.n > 0 && Number.isNaN(list.dueAt)) this.unsure[lane]!.add(originator);
    }
  }

  private async listOf(originator: string, draft: HeldDraft, session: ClientSession): Promise<HeldList> {
    const drafted = draft.lists.get(originator);
    if (drafted) return drafted;
    const lane = laneOf(originator, this.lanes.length);
    if (this.isLoaded[lane]) return this.lanes[lane]!.get(originator) ?? EMPTY;
    return (await this.read(lane, { originator }, session)).get(originator) ?? EMPTY;
  }

  private async read(lane: number, filter: object, session?: ClientSession): Promise<Map<string, HeldList>> {
    const rows = this.collection.aggregate<HeldList & { _id: string }>(
      [
        { $match: { lane, ...filter } },
        { $sort: { originator: 1, pos: 1 } },
        { $group: { _id: '$originator', n: { $sum: 1 }, low: { $first: '$pos' }, high: { $last: '$pos' }, dueAt: { $first: '$notBefore' } } },
      ],
      { session, allowDiskUse: true },
    );
    const lists = new Map<string, HeldList>();
    for await (const { _id, ...list } of rows) lists.set(_id, list);
    return lists;
  }
}
