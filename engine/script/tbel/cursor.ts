import type { Hint, Span } from './ast.ts';
import { TbelSyntaxError } from './errors.ts';
import { type Token, tokens } from './lexer.ts';

/** Deeper than any program is, and shallow enough for our own stack and that of whoever reads what we generate. */
const MAX_DEPTH = 150;
const CLOSERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

/** The tokens of a program and a place among them; behind `limit` there is nothing, so that a part can be read as if it were a text of its own. */
export class Cursor {
  readonly source: string;
  readonly all: readonly Token[];
  readonly hints: Hint[] = [];
  /** For each bracket the place of its partner. */
  readonly partner: Int32Array;
  at = 0;
  limit: number;
  #depth = 0;

  constructor(source: string) {
    this.source = source;
    this.all = tokens(source);
    this.limit = this.all.length - 1;
    this.partner = new Int32Array(this.all.length).fill(-1);
    const open: number[] = [];
    for (const [at, { type, text, start }] of this.all.entries()) {
      if (type !== 'sign') continue;
      if (Object.hasOwn(CLOSERS, text)) open.push(at);
      else if (text === ')' || text === ']' || text === '}') {
        const opener = open.pop();
        if (opener === undefined || CLOSERS[this.all[opener]!.text] !== text) throw new TbelSyntaxError(`unexpected token: ${text}`, start);
        this.partner[opener] = at;
        this.partner[at] = opener;
      }
    }
    const left = open.pop();
    if (left !== undefined) throw new TbelSyntaxError(`unbalanced braces: ${this.all[left]!.text}`, this.all[left]!.start);
  }

  get now(): Token {
    return this.peek(0);
  }

  /** The token that was read last. */
  get before(): Token {
    return this.all[this.at - 1]!;
  }

  peek(ahead: number): Token {
    const at = this.at + ahead;
    if (at < this.limit) return this.all[at]!;
    const { start } = this.all[Math.min(this.limit, this.all.length - 1)]!;
    return { type: 'end', text: '', start, end: start };
  }

  isSign(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.type === 'sign' && token.text === text;
  }

  isWord(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.type === 'name' && token.text === text;
  }

  take(): Token {
    const token = this.now;
    if (this.at < this.limit) this.at++;
    return token;
  }

  takeSign(text: string): boolean {
    if (!this.isSign(text)) return false;
    this.at++;
    return true;
  }

  takeWord(text: string): boolean {
    if (!this.isWord(text)) return false;
    this.at++;
    return true;
  }

  expect(text: string): Token {
    if (!this.isSign(text)) throw this.unexpected(`expected '${text}'`);
    return this.take();
  }

  name(): Token {
    if (this.now.type !== 'name') throw this.unexpected('expected a name');
    return this.take();
  }

  unexpected(why?: string): TbelSyntaxError {
    const { type, text, start } = this.now;
    const what = type === 'end' ? 'unexpected end of statement' : `unexpected token: ${type === 'string' ? JSON.stringify(text) : text}`;
    return new TbelSyntaxError(why === undefined ? what : `${what} (${why})`, start);
  }

  /** Reads the tokens up to `end` as a text of its own. All of them must be needed. */
  part<T>(end: number, read: () => T): T {
    const { limit } = this;
    this.limit = end;
    try {
      const result = read();
      if (this.at < end) throw this.unexpected();
      return result;
    } finally {
      this.limit = limit;
    }
  }

  deeper<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new TbelSyntaxError('the program is nested too deeply', this.now.start);
    try {
      return read();
    } finally {
      this.#depth--;
    }
  }

  hint(message: string, { start, end }: Span): void {
    this.hints.push({ message, start, end });
  }
}
