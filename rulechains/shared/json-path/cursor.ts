import { InvalidPath } from './path.ts';

/** A place in the text of an expression. Blanks are spaces only, as in the original. */
export class Cursor {
  readonly text: string;
  at = 0;

  constructor(text: string) {
    this.text = text;
  }

  get char(): string {
    return this.text[this.at] ?? '';
  }

  get isOver(): boolean {
    return this.at >= this.text.length;
  }

  /** Nothing, or one last character, which the original does not look at: `$.a[` is `$.a`. */
  get isTail(): boolean {
    return this.at >= this.text.length - 1;
  }

  fail(reason: string): never {
    throw new InvalidPath(`${reason} at position ${this.at} of ${this.text}`);
  }

  skipBlanks(): this {
    while (this.char === ' ') this.at++;
    return this;
  }

  /** Index of the first character after `from` that is no blank. */
  significantAfter(from: number): number {
    let at = from + 1;
    while (this.text[at] === ' ') at++;
    return at;
  }

  /** Index of the quote or slash that ends what begins at `from`. */
  endOfQuoted(from: number): number {
    const quote = this.text[from];
    for (let at = from + 1; at < this.text.length; at++) {
      if (this.text[at] === '\\') at++;
      else if (this.text[at] === quote) return at;
    }
    return this.fail(`Expected ${quote}`);
  }

  /** Index of the bracket that closes the one at `from`; those in strings (and patterns) do not count. */
  closing(from: number, open: string, close: string, skipPatterns = false): number {
    let depth = 0;
    for (let at = from; at < this.text.length; at++) {
      const char = this.text[at];
      if (char === "'" || char === '"' || (skipPatterns && char === '/')) at = this.endOfQuoted(at);
      else if (char === open) depth++;
      else if (char === close && --depth === 0) return at;
    }
    return this.fail(`Expected ${close}`);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', b: '\b' };

export const unescaped = (text: string): string =>
  text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code: string | undefined, char: string) =>
    code === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(code, 16)),
  );
