import { Binary, type Collection } from 'mongodb';
import { VersionConflict } from '#engine/errors.ts';
import type { DeadLetter, Page } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { readPage } from './page.ts';
import { type PackedText, packText, unpackText } from './text.ts';
import type { Part, Transaction } from './transaction.ts';

export interface StoredDeadLetter {
  readonly _id: string;
  readonly tenantId: string;
  readonly owner: string;
  readonly createdTime: number;
  /** Absent: the bytes of the message's data, which may be megabytes. */
  readonly payload?: Binary;
  /** JSON */
  readonly rest: PackedText;
}

export function storedDeadLetter({ id, tenantId, owner, createdTime, payload, ...rest }: DeadLetter): StoredDeadLetter {
  const isData = rest.message !== null && Buffer.from(rest.message.data).equals(payload);
  return { _id: id, tenantId, owner, createdTime, payload: isData ? undefined : new Binary(payload), rest: packText(JSON.stringify(rest)) };
}

export function toDeadLetter({ _id, tenantId, owner, createdTime, payload, rest: text }: StoredDeadLetter): DeadLetter {
  const rest = JSON.parse(unpackText(text)) as Omit<DeadLetter, 'id' | 'tenantId' | 'owner' | 'createdTime' | 'payload'>;
  const bytes = payload ? payload.buffer : Buffer.from(rest.message!.data);
  return { id: _id, tenantId, owner, createdTime, payload: new Uint8Array(bytes), ...rest };
}

export class DeadLetters implements Part {
  private readonly deadLetters: Collection<StoredDeadLetter>;

  constructor({ deadLetters }: { deadLetters: Collection<StoredDeadLetter> }) {
    this.deadLetters = deadLetters;
  }

  /** @throws VersionConflict when one that is to be removed is not there: two requeues at the same moment, and the second must not put the message into the lane again. */
  async write(works: readonly Work[], { session }: Transaction): Promise<void> {
    const added = new Map<string, StoredDeadLetter>();
    const removed = new Map<string, string[]>();
    for (const work of works) {
      for (const letter of work.deadLetters) added.set(letter.id, storedDeadLetter(letter));
      for (const { id, tenantId } of work.deadLetterRemovals) {
        const ids = removed.get(tenantId);
        if (added.get(id)?.tenantId === tenantId) added.delete(id);
        else if (ids) ids.push(id);
        else removed.set(tenantId, [id]);
      }
    }
    for (const [tenantId, ids] of removed) {
      // One that is named twice is there once.
      const { deletedCount } = await this.deadLetters.deleteMany({ tenantId, _id: { $in: ids } }, { session });
      if (deletedCount !== ids.length) throw new VersionConflict('Dead letter');
    }
    if (added.size > 0) await this.deadLetters.insertMany([...added.values()], { session, ordered: false });
  }

  async one(tenantId: string, id: string): Promise<DeadLetter | null> {
    const row = await this.deadLetters.findOne({ _id: id, tenantId });
    return row && toDeadLetter(row);
  }

  async page(tenantId: string, owner: string | undefined, page: number, pageSize: number): Promise<Page<DeadLetter>> {
    const filter = owner === undefined ? { tenantId } : { tenantId, owner };
    return readPage(this.deadLetters, filter, { sort: { createdTime: -1, _id: -1 }, page, pageSize, map: toDeadLetter });
  }
}
