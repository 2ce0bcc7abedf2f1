import { timeOf } from '#engine/id.ts';
import type { CaptureRecord } from './records.ts';
import { recordsIn, type Segments } from './segments.ts';

/** Ids of one tree that are followed; a splitter can make more. */
const MOST_IDS = 2000;
const MOST_ROUNDS = 50;
/** A record is written after what it tells; clocks of several machines differ. */
const MARGIN_MS = 10_000;
const TIME_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-/;

/** All records of the tree that a message, an uplink or a downlink belongs to. */
export async function findTree(segments: Pick<Segments, 'read'>, tenantId: string, id: string): Promise<CaptureRecord[]> {
  const known = new Set([id]);
  const records = new Map<string, CaptureRecord>();
  let next = [id];
  for (let round = 0; next.length > 0 && round < MOST_ROUNDS; round++) {
    const looked = next;
    next = [];
    for await (const record of mentioning(segments, tenantId, looked)) {
      records.set(`${record.k} ${'id' in record ? record.id : record.made.id} ${record.at}`, record);
      for (const related of idsOf(record)) {
        if (known.has(related) || known.size >= MOST_IDS) continue;
        known.add(related);
        next.push(related);
      }
    }
  }
  return [...records.values()].sort((a, b) => a.at - b.at);
}

async function* mentioning(segments: Pick<Segments, 'read'>, tenantId: string, ids: readonly string[]): AsyncGenerator<CaptureRecord> {
  const since = Math.min(...ids.map((id) => (TIME_UUID.test(id) ? timeOf(id) - MARGIN_MS : 0)));
  const named = ids.map((id) => Buffer.from(JSON.stringify(id)));
  const isNamed = (bytes: Buffer): boolean => named.some((name) => bytes.includes(name));
  for await (const segment of segments.read(tenantId, since)) {
    if (!isNamed(segment)) continue;
    for (const json of recordsIn(segment)) {
      if (!isNamed(json)) continue;
      // The id may also stand in somebody's data.
      const record = JSON.parse(json.toString()) as CaptureRecord;
      const own = idsOf(record);
      if (ids.some((id) => own.includes(id))) yield record;
    }
  }
}

function idsOf(record: CaptureRecord): string[] {
  switch (record.k) {
    case 'walk':
      return record.trips.flatMap(({ id, steps }) => [
        id,
        ...steps.flatMap(({ made = [], wrote }) => [...made.map((each) => each.id), ...(wrote?.downlinks ?? []).map((each) => each.id)]),
      ]);
    case 'uplink':
      return [record.id, ...record.made.map((each) => each.id)];
    case 'downlink':
      return [record.id, record.messageId];
    case 'sent':
      return [record.id];
    case 'made':
      return [record.of, record.made.id];
  }
}
