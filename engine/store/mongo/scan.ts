import { type AbstractCursor, Binary, MongoServerError } from 'mongodb';
import { PAGE_CHARS, PAGE_ROWS } from '#engine/transfer.ts';

/** The server forgot it: it was idle for too long, or the server was started anew. */
const CURSOR_GONE = new Set([43, 237]);

/** Goes through a collection page by page, with one cursor as long as it is asked for the next: to look for the place anew costs as much as all before it on some servers. */
export class Scan<D extends object> {
  private readonly open: (after: string | null) => AbstractCursor<D>;
  private readonly placeOf: (document: D) => string;
  private cursor: AbstractCursor<D> | null = null;
  /** Of the last document that was given out. */
  private place: string | null = null;

  constructor(open: (after: string | null) => AbstractCursor<D>, placeOf: (document: D) => string) {
    this.open = open;
    this.placeOf = placeOf;
  }

  async page(after: string | null): Promise<{ documents: D[]; cursor: string | null; isLast: boolean }> {
    try {
      return await this.next(after);
    } catch (cause) {
      await this.end();
      if (cause instanceof MongoServerError && CURSOR_GONE.has(Number(cause.code))) return await this.next(after);
      throw cause;
    }
  }

  private async next(after: string | null): Promise<{ documents: D[]; cursor: string | null; isLast: boolean }> {
    if (!this.cursor || this.place !== after) {
      await this.end();
      this.cursor = this.open(after);
    }
    const documents: D[] = [];
    let isLast = false;
    for (let chars = 0; documents.length < PAGE_ROWS && chars < PAGE_CHARS && !isLast; ) {
      const document = await this.cursor.next();
      if (document) {
        documents.push(document);
        chars += sizeOf(document);
      } else isLast = true;
    }
    const last = documents.at(-1);
    this.place = last ? this.placeOf(last) : after;
    if (isLast) await this.end();
    return { documents, cursor: this.place, isLast };
  }

  private async end(): Promise<void> {
    await this.cursor?.close().catch(() => {}); // The server forgets it by itself.
    this.cursor = null;
  }
}

/** About how much of a page it is. */
function sizeOf(document: object): number {
  let chars = 0;
  for (const value of Object.values(document)) {
    if (typeof value === 'string') chars += value.length;
    else if (value instanceof Binary) chars += value.length();
    else if (typeof value === 'object' && value !== null && !(value instanceof Date)) chars += sizeOf(value);
    else chars += 8;
  }
  return chars;
}
