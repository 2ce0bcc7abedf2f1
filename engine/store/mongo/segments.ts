import { randomUUID } from 'node:crypto';
import type { Collection, Db } from 'mongodb';
import { groupsOf, type Lines, RING_SEGMENTS, type RingName, type SegmentLimits, type Segments } from '#engine/capture/segments.ts';
import { errorText } from '#engine/errors.ts';

interface StoredSegment {
  readonly _id: string;
  readonly tenantId: string;
  readonly owner: string;
  /** Node or integration. */
  readonly ring: string;
  /** Last written, Unix ms. */
  readonly to: number;
  readonly bytes: number;
  readonly text: readonly string[];
}

export interface MongoSegmentsOptions extends SegmentLimits {
  readonly db: Db;
  readonly now: () => number;
  readonly log: { warn(details: object, text: string): void };
}

/** How often the rings are cut to their length; in between they may be longer by what is written then. */
const TRIM_MS = 5000;
const PROBLEM_MS = 60_000;
/** A document is written anew with each addition. */
const MOST_BYTES = 256 * 1024;
/** Nobody waits for it, and what is lost is only for looking at. */
const WEAK = { w: 1, journal: false } as const;

const keyOf = ({ tenantId, id }: RingName): string => `${tenantId} ${id}`;

/** Captured records of several processes, which any of them can read. One document a segment; each process fills its own. */
export function openMongoSegments({ db, ringBytes, tenantBytes, now, log }: MongoSegmentsOptions): Segments {
  const collection: Collection<StoredSegment> = db.collection('capture');
  const segmentBytes = Math.max(1, Math.min(MOST_BYTES, Math.floor(ringBytes / RING_SEGMENTS)));
  const open = new Map<string, { readonly id: string; bytes: number }>();
  /** Bytes written since the last cut, by tenant. */
  const written = new Map<string, number>();
  let trimmedAt = now();
  let toldAt = Number.NEGATIVE_INFINITY;
  let indexed: Promise<unknown> | null = null;
  let tail: Promise<void> = Promise.resolve();

  const inTurn = (step: () => Promise<void>): Promise<void> => {
    tail = tail.then(step).catch((cause: unknown) => {
      indexed = null;
      if (now() - toldAt < PROBLEM_MS) return;
      toldAt = now();
      log.warn({ reason: errorText(cause) }, 'captured messages could not be written');
    });
    return tail;
  };

  function addition(name: RingName, text: string, bytes: number) {
    const { tenantId, owner, id: ring } = name;
    const key = keyOf(name);
    let segment = open.get(key);
    if (!segment || segment.bytes + bytes > segmentBytes) {
      segment = { id: randomUUID(), bytes: 0 };
      open.set(key, segment);
    }
    segment.bytes += bytes;
    written.set(tenantId, (written.get(tenantId) ?? 0) + bytes);
    const update = { $push: { text }, $inc: { bytes }, $set: { to: now() }, $setOnInsert: { tenantId, owner, ring } };
    return { updateOne: { filter: { _id: segment.id }, update, upsert: true } };
  }

  async function append(all: readonly Lines[]): Promise<void> {
    indexed ??= collection.createIndex({ tenantId: 1, to: 1 });
    await indexed;
    const additions = all.flatMap(({ ring, lines }) => {
      const room = segmentBytes - (open.get(keyOf(ring))?.bytes ?? segmentBytes);
      return groupsOf(lines, room, segmentBytes).map(({ text, bytes }) => addition(ring, text, bytes));
    });
    if (additions.length > 0) await collection.bulkWrite(additions, { writeConcern: WEAK });
    const much = [...written.values()].some((bytes) => bytes > ringBytes);
    if (much || now() - trimmedAt >= TRIM_MS) await trim();
  }

  async function trim(): Promise<void> {
    trimmedAt = now();
    for (const tenantId of written.keys()) {
      const rings = new Map<string, number>();
      const gone: string[] = [];
      let total = 0;
      const newestFirst = collection.find({ tenantId }, { projection: { ring: 1, bytes: 1 }, sort: { to: -1 } });
      for await (const { _id, ring, bytes } of newestFirst) {
        const own = (rings.get(ring) ?? 0) + bytes;
        if (own > ringBytes || total + bytes > tenantBytes) gone.push(_id);
        else {
          rings.set(ring, own);
          total += bytes;
        }
      }
      if (gone.length > 0) await collection.deleteMany({ _id: { $in: gone } }, { writeConcern: WEAK });
    }
    written.clear();
  }

  return {
    append: (all) => inTurn(() => append(all)),
    async *read(tenantId, since) {
      await tail;
      for await (const { text } of collection.find({ tenantId, to: { $gte: since } }, { sort: { to: -1 } })) yield Buffer.from(text.join(''));
    },
    remove: (tenantId, owner) =>
      inTurn(async () => {
        await collection.deleteMany(owner === undefined ? { tenantId } : { tenantId, owner });
      }),
    close: () => tail,
  };
}
