import { crc32 } from 'node:zlib';

/** Port: where captured records are kept, as rings of segments bounded in bytes. `files.ts` keeps them in the data folder, `engine/store/mongo/segments.ts` in MongoDB. */

/** A ring: of one rule node, or one integration. */
export interface RingName {
  readonly tenantId: string;
  /** Chain of the node, or the integration: with it the ring goes. */
  readonly owner: string;
  /** Node or integration. */
  readonly id: string;
}

export interface Lines {
  readonly ring: RingName;
  /** Each made by `lineOf`, oldest first. */
  readonly lines: readonly string[];
}

export interface SegmentLimits {
  readonly ringBytes: number;
  /** Of all rings of a tenant together: then the oldest segments go, whose ever they are. */
  readonly tenantBytes: number;
}

export interface Segments {
  /** Appends and makes room. What can not be written is dropped. Never rejects. */
  append(all: readonly Lines[]): Promise<void>;
  /** Every segment of a tenant that was written to at `since` (Unix ms) or later, newest first. */
  read(tenantId: string, since: number): AsyncIterable<Buffer>;
  /** Of a tenant, or of one of its chains or integrations. */
  remove(tenantId: string, owner?: string): Promise<void>;
  close(): Promise<void>;
}

/** Segments of a full ring: what is overwritten goes in steps of this part of it. */
export const RING_SEGMENTS = 4;

/** One record as it is kept: what a crash, or a bad disk, cut off or changed is noticed and left out. */
export const lineOf = (json: string): string => `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;

const NEWLINE = 10;
const HEAD = 9;

/** The records of a segment, oldest first, as JSON text in bytes; damaged ones are left out. */
export function* recordsIn(segment: Buffer): Generator<Buffer> {
  for (let start = 0; start < segment.length; ) {
    const end = segment.indexOf(NEWLINE, start);
    // Without its end it was never written whole.
    if (end < 0) return;
    const json = segment.subarray(start + HEAD, end);
    if (Number.parseInt(segment.toString('latin1', start, start + HEAD - 1), 16) === crc32(json)) yield json;
    start = end + 1;
  }
}

/** Lines in groups that fit into a segment of `bytes`; a line that is larger than that is left out. */
export function groupsOf(lines: readonly string[], first: number, bytes: number): { readonly text: string; readonly bytes: number }[] {
  const groups: { text: string; bytes: number }[] = [];
  let room = first;
  for (const line of lines) {
    const size = Buffer.byteLength(line);
    if (size > bytes) continue;
    const last = groups.at(-1);
    if (last && size <= room) {
      last.text += line;
      last.bytes += size;
      room -= size;
    } else {
      const fits = groups.length === 0 && size <= room;
      groups.push({ text: line, bytes: size });
      room = (fits ? room : bytes) - size;
    }
  }
  return groups;
}
