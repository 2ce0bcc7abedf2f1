/** What is wrong with a program's text, and where. */
export class TbelSyntaxError extends Error {
  /** Offset in the program. */
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Both count from 1. */
export function placeOf(text: string, at: number): Place {
  const before = text.slice(0, at);
  return { line: before.split('\n').length, column: at - before.lastIndexOf('\n') };
}
