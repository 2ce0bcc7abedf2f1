import type { Cell } from '../values.ts';
import { formatCells, keyOf, type LatestCells, parseCells } from './cells.ts';

/** A sample on its way into the tables: what its row of the journal says. */
export interface Entry {
  readonly entity: number;
  readonly ts: number;
  readonly expiresAt: number | null;
  readonly history: boolean;
  readonly latest: boolean;
  /** `[code, cell, …]`, and its JSON text, which is what a history row holds. */
  readonly flat: readonly Cell[];
  readonly text: string;
}

export interface RecentSample {
  readonly expiresAt: number | null;
  readonly text: string;
}

/** Of one entity: samples by ts, and latest values. */
export interface RecentEntity {
  readonly samples: Map<number, RecentSample>;
  readonly latest: LatestCells;
}

/** Values of one moment are one row: the later write of a key wins, and the longer life for all of them. */
export function joined(older: RecentSample, newer: RecentSample): RecentSample {
  const cells = parseCells(older.text);
  for (const [key, cell] of parseCells(newer.text)) cells.set(key, cell);
  const expiresAt = older.expiresAt === null || newer.expiresAt === null ? null : Math.max(older.expiresAt, newer.expiresAt);
  return { expiresAt, text: formatCells(cells) };
}

/** Only a newer or equal ts replaces the latest value of a key. */
export function joinLatest(into: LatestCells, newer: LatestCells): void {
  for (const [key, value] of newer) {
    const old = into.get(key);
    if (!old || value.ts >= old.ts) into.set(key, value);
  }
}

/** Samples that are durable in the journal and not yet in the tables, by entity. */
export class Recent {
  readonly entities = new Map<number, RecentEntity>();
  /** How much of it there is. */
  samples = 0;
  chars = 0;
  /** When the first came, and the journal's row of the last. */
  since = 0;
  lastSeq = 0;

  add(entry: Entry, seq: number, now: number): void {
    if (this.samples++ === 0) this.since = now;
    this.chars += entry.text.length;
    this.lastSeq = seq;
    let recent = this.entities.get(entry.entity);
    if (!recent) {
      recent = { samples: new Map(), latest: new Map() };
      this.entities.set(entry.entity, recent);
    }
    if (entry.history) {
      const sample = { expiresAt: entry.expiresAt, text: entry.text };
      const older = recent.samples.get(entry.ts);
      recent.samples.set(entry.ts, older ? joined(older, sample) : sample);
    }
    if (!entry.latest) return;
    for (let i = 0; i < entry.flat.length; i += 2) {
      const code = entry.flat[i] as number;
      const key = keyOf(code);
      const old = recent.latest.get(key);
      if (!old || entry.ts >= old.ts) recent.latest.set(key, { code, ts: entry.ts, cell: entry.flat[i + 1]! });
    }
  }

  /** What came after all of this. */
  merge(entity: number, samples: ReadonlyMap<number, RecentSample>, latest: LatestCells): void {
    const recent = this.entities.get(entity);
    if (!recent) {
      this.entities.set(entity, { samples: new Map(samples), latest });
      return;
    }
    for (const [ts, sample] of samples) {
      const older = recent.samples.get(ts);
      recent.samples.set(ts, older ? joined(older, sample) : sample);
    }
    joinLatest(recent.latest, latest);
  }
}
