import type { WriteStream } from 'node:tty';
import { KIND_NAMES, type Kind } from '#engine/transfer.ts';

interface Progress {
  readonly kind: Kind;
  readonly rows: number;
  readonly total: number;
  readonly isWhole: boolean;
}

/** Between two lines of the same kind, where lines can not be written over. */
const LINE_MS = 5000;
const REDRAW_MS = 100;

/** How far a copy is: one line that changes on a terminal, a line now and then elsewhere. */
export function showProgress(stream: Pick<WriteStream, 'write'> & { isTTY?: boolean }, now: () => number) {
  let began = { kind: null as Kind | null, at: 0, rows: 0 };
  let shownAt = 0;
  let isOpen = false;
  const end = (): void => {
    if (isOpen) stream.write('\n');
    isOpen = false;
  };
  return {
    on(progress: Progress): void {
      const { kind, rows, total, isWhole } = progress;
      const at = now();
      if (began.kind !== kind) {
        began = { kind, at, rows };
        shownAt = at;
      }
      if (rows === 0 && total === 0) return;
      if (!isWhole && at - shownAt < (stream.isTTY ? REDRAW_MS : LINE_MS)) return;
      shownAt = at;
      const text = lineOf(progress, ((rows - began.rows) * 1000) / Math.max(1, at - began.at));
      if (stream.isTTY) {
        stream.write(`\r${text}\u001b[K`);
        isOpen = true;
        if (isWhole) end();
      } else stream.write(`${text}\n`);
    },
    end,
  };
}

/** What ends meanwhile makes the total smaller than what was counted before. */
function lineOf({ kind, rows, total, isWhole }: Progress, perSecond: number): string {
  const number = (n: number): string => Math.round(n).toLocaleString('en');
  const percent = isWhole ? 100 : Math.min(99, Math.floor((100 * rows) / Math.max(1, total)));
  return `${KIND_NAMES[kind].padEnd(18)}${number(rows)} of ${number(isWhole ? rows : total)}, ${percent} %, ${number(perSecond)} rows/s`;
}
