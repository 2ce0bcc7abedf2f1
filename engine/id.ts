import { randomBytes } from 'node:crypto';

/**
 * Version-1 (time-based) UUIDs (RFC 9562 §5.1): the time inside an id equals the entity's `createdTime` in ms, and ids of one process ascend.
 * 100-ns ticks within one millisecond keep them unique; a random node and clock sequence keep processes apart.
 */
const newTail = (): string => {
  const bytes = randomBytes(8);
  bytes[0] = (bytes[0]! & 0x3f) | 0x80; // variant
  bytes[2]! |= 0x01; // multicast bit: a random node, not a network card
  const hex = bytes.toString('hex');
  return `-${hex.slice(0, 4)}-${hex.slice(4)}`;
};
const GREGORIAN_MS = 12_219_292_800_000; // 1582-10-15 to 1970-01-01
/** Ids of a time that is yet to come (timers of dry runs, simulated clocks) do not carry it into those that come after them. */
const AHEAD_MS = 60_000;
const present = { lastMs: 0, ticks: 0, tail: newTail() };
const ahead = { lastMs: 0, ticks: 0, tail: newTail() };

/** @param now Unix ms that the id will carry, unless more than 10,000 ids were made in that millisecond. */
export function newId(now: number = Date.now()): string {
  const last = now > Date.now() + AHEAD_MS ? ahead : present;
  if (now > last.lastMs) {
    last.lastMs = now;
    last.ticks = 0;
  } else if (++last.ticks >= 10_000) {
    last.lastMs++;
    last.ticks = 0;
  }
  const ms = BigInt(last.lastMs + GREGORIAN_MS);
  const time = (ms * 10_000n + BigInt(last.ticks)).toString(16).padStart(15, '0');
  return `${time.slice(7)}-${time.slice(3, 7)}-1${time.slice(0, 3)}${last.tail}`;
}

/** Unix ms inside a version-1 UUID. */
export function timeOf(id: string): number {
  const ticks100ns = BigInt(`0x${id.slice(15, 18)}${id.slice(9, 13)}${id.slice(0, 8)}`);
  return Number(ticks100ns / 10_000n) - GREGORIAN_MS;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
export const isUuid = (text: string): boolean => UUID.test(text);
