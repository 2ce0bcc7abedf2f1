/**
 * What travels between the engine and a script host: many calls in one frame, over two pipes (the child's stdin and stdout).
 *
 * `u32 length of the rest | u8 type | u8 encoding | u16 0 | u32 n | n × i32 | text`, little endian. All texts of a frame are one string; the
 * integers say where it is cut. That is one write, one read and one string into the isolate, whatever the number of calls.
 */
export const READY = 1;
/** Text: JSON of a Definition. */
export const DEFINE = 2;
/** Integers: the ids of scripts that are not needed any more. */
export const FORGET = 3;
/** Integers, for each unit: unit id, script id, 0 to run or 1 to check, number of calls, then the lengths of every call's arguments. */
export const RUN = 4;
/** Integers, for each unit: unit id, number of results, their lengths. The results are codes of `outcome.ts`. */
export const RESULT = 5;
/** The host lives and works on a long frame. */
export const ALIVE = 6;
/** Integers: unit id and index of the call that does not stop. The host ends itself after it. */
export const STUCK = 7;
/** Text: the runtime of TBEL, before the first script that needs it. */
export const LIBRARY = 8;

export interface Frame {
  readonly type: number;
  readonly ints: Int32Array;
  readonly text: string;
}

const HEADER_BYTES = 12;
const LATIN1 = 0;
const UTF16 = 1;
const WIDE = /[^\u0000-\u00ff]/;

export function encodeFrame(type: number, ints: readonly number[], text: string): Buffer {
  // UTF-16 where one byte a character is not enough: unlike UTF-8 it keeps lone surrogates and all lengths.
  const wide = WIDE.test(text);
  const textAt = HEADER_BYTES + ints.length * 4;
  const size = textAt + (wide ? text.length * 2 : text.length);
  const frame = Buffer.allocUnsafe(size);
  frame.writeUInt32LE(size - 4, 0);
  frame.writeUInt32LE(type | ((wide ? UTF16 : LATIN1) << 8), 4);
  frame.writeUInt32LE(ints.length, 8);
  for (let i = 0; i < ints.length; i++) frame.writeInt32LE(ints[i]!, HEADER_BYTES + i * 4);
  if (wide) frame.write(text, textAt, 'utf16le');
  else frame.write(text, textAt, 'latin1');
  return frame;
}

function decodeFrame(frame: Buffer): Frame {
  const head = frame.readUInt32LE(4);
  const count = frame.readUInt32LE(8);
  const textAt = HEADER_BYTES + count * 4;
  const ints = new Int32Array(count);
  Buffer.from(ints.buffer).set(frame.subarray(HEADER_BYTES, textAt));
  return { type: head & 0xff, ints, text: frame.toString(((head >> 8) & 0xff) === UTF16 ? 'utf16le' : 'latin1', textAt) };
}

/** Puts frames together again from whatever pieces the pipe gives. A frame of many pieces is copied once, when it is complete. */
export class FrameReader {
  #pieces: Buffer[] = [];
  #size = 0;

  push(piece: Buffer): Frame[] {
    this.#pieces.push(piece);
    this.#size += piece.length;
    const frames: Frame[] = [];
    for (let need = this.#need(); this.#size >= need; need = this.#need()) {
      const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#size);
      if (need === HEADER_BYTES) need = all.readUInt32LE(0) + 4;
      this.#pieces = [all];
      if (all.length < need) break;
      frames.push(decodeFrame(all.subarray(0, need)));
      this.#size -= need;
      this.#pieces = this.#size > 0 ? [all.subarray(need)] : [];
    }
    return frames;
  }

  /** Bytes of the next frame when its length is known, else the bytes of a header. */
  #need(): number {
    const first = this.#pieces[0];
    return first !== undefined && first.length >= 4 ? first.readUInt32LE(0) + 4 : HEADER_BYTES;
  }
}
