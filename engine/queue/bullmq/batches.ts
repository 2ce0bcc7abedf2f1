import { AppError } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { Work } from '#engine/work.ts';
import { encodeMessage } from '../messages.ts';

/** `batches`: messages of one lane that were appended together. It waits, or is being worked on, as long as it is there. */
export interface StoredBatch {
  /** `LANE.MEMBER.N`, or `LANE.MEMBER.dN` when it is delayed; the id of its job in BullMQ, too. Of one lane and member they are in order as texts. */
  readonly _id: string;
  readonly lane: number;
  /** The process that appended it. */
  readonly member: string;
  /** Orders those of one lane and member as they were appended. */
  readonly n: number;
  readonly at: number;
  /** It enters its lane then; null: at once. */
  readonly dueAt: number | null;
  /** When it has messages of one tenant only. */
  readonly tenantId?: string;
  /** Number of its messages, and which ledgers count them. */
  readonly total: number;
  readonly counts: readonly { readonly tenantId: string; readonly owner: string; readonly n: number }[];
  /** Its messages, one a line. */
  readonly lines: string;
}

/** Of one batch: so that what is taken at a time stays near its `max`. */
const MOST_MESSAGES = 256;
const MOST_CHARS = 1_000_000;
/** Of one message: MongoDB takes documents of 16 MB. */
const MOST_BYTES = 16_000_000;

const DIGITS = 16;
/** Since 2020, so that the product stays an exact number. */
const EPOCH_MS = 1_577_836_800_000;
/** Batches of one group of works: 16,384 of 256 messages. */
const IN_GROUP = 2 ** 14;

export interface BatchName {
  readonly lane: number;
  readonly member: string;
  readonly n: number;
  readonly delayed: boolean;
}

export const batchId = ({ lane, member, n, delayed }: BatchName): string =>
  `${lane}.${member}.${delayed ? 'd' : ''}${String(n).padStart(DIGITS, '0')}`;

export function batchName(id: string): BatchName {
  const first = id.indexOf('.');
  const last = id.lastIndexOf('.');
  const delayed = id[last + 1] === 'd';
  return { lane: Number(id.slice(0, first)), member: id.slice(first + 1, last), n: Number(id.slice(last + (delayed ? 2 : 1))), delayed };
}

export const isDelayed = (id: string): boolean => id[id.lastIndexOf('.') + 1] === 'd';

/** Those of a lane and member, delayed ones too, are between these as texts. */
export const idsOf = (lane: number, member: string): { $gt: string; $lt: string } => ({ $gt: `${lane}.${member}.`, $lt: `${lane}.${member}/` });

/** BullMQ's queue of a lane. */
export const queueOf = (lane: number): string => `lane-${lane}`;
export const isLane = (queue: string): boolean => /^lane-\d+$/.test(queue);
export const laneOfQueue = (queue: string): number => Number(queue.slice('lane-'.length));

/** Counts of messages by the ledger that they are in. */
function countsOf(messages: readonly Message[]): StoredBatch['counts'] {
  const counts: { tenantId: string; owner: string; n: number }[] = [];
  for (const { tenantId, owner } of messages) {
    const known = counts.find((entry) => entry.owner === owner && entry.tenantId === tenantId);
    if (known) known.n++;
    else counts.push({ tenantId, owner, n: 1 });
  }
  return counts;
}

/** Numbers of the batches that a group of works appends. */
export class Numbering {
  /** By the order of the group: the work it began with, and which numbers it was given. */
  private readonly groups = new Map<number, { first: Work | undefined; from: number; next: number }>();

  /**
   * Numbers for one attempt, ascending. An attempt that begins with the same work is the same one again; one that begins with another goes on behind those that
   * the works before it in its group were given.
   */
  begin(order: number, first: Work | undefined): () => number {
    let group = this.groups.get(order);
    if (group) {
      if (group.first !== first) group.from = group.next;
    } else {
      group = { first, from: 1, next: 1 };
      this.groups.set(order, group);
      // Two groups are under way at a time.
      if (this.groups.size > 8) this.groups.delete(this.groups.keys().next().value!);
    }
    group.first = first;
    group.next = group.from;
    const numbered = group;
    return () => {
      if (numbered.next === IN_GROUP) throw new AppError('too-large', 'never', `One unit of work can not append more than ${IN_GROUP} batches`);
      return (order - EPOCH_MS) * IN_GROUP + numbered.next++;
    };
  }
}

/** @throws AppError `too-large` when no document can hold it. */
export function lineOf(message: Message): string {
  const line = encodeMessage(message);
  if (line.length > MOST_CHARS && Buffer.byteLength(line) > MOST_BYTES)
    throw new AppError('too-large', 'never', `A message of ${line.length} characters is too large to be stored`);
  return line;
}

/** The messages of one lane as documents, in order. @throws AppError `too-large` for a message that no document can hold. */
export function toBatches(
  messages: readonly Message[],
  { lane, member, at, dueAt, next }: Pick<StoredBatch, 'lane' | 'member' | 'at' | 'dueAt'> & { readonly next: () => number },
): StoredBatch[] {
  const batches: StoredBatch[] = [];
  let part: Message[] = [];
  let lines: string[] = [];
  let chars = 0;
  const close = (): void => {
    const n = next();
    const counts = countsOf(part);
    const [{ tenantId }] = counts as [StoredBatch['counts'][number]];
    batches.push({
      _id: batchId({ lane, member, n, delayed: dueAt !== null }),
      lane,
      member,
      n,
      at,
      dueAt,
      ...(counts.every((entry) => entry.tenantId === tenantId) ? { tenantId } : {}),
      total: part.length,
      counts,
      lines: lines.join('\n'),
    });
    part = [];
    lines = [];
    chars = 0;
  };
  for (const message of messages) {
    const line = lineOf(message);
    if (part.length === MOST_MESSAGES || (part.length > 0 && chars + line.length > MOST_CHARS)) close();
    part.push(message);
    lines.push(line);
    chars += line.length;
  }
  if (part.length > 0) close();
  return batches;
}
