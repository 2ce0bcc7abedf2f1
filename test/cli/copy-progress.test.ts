import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kind } from '#engine/transfer.ts';
import { showProgress } from '../../cli/copy-progress.ts';

const page = (kind: Kind, rows: number, total: number, isWhole = false) => ({ kind, rows, total, isWhole });

/** What is written while pages come, one a second. */
function shown(isTTY: boolean, pages: readonly ReturnType<typeof page>[]): string {
  let at = 0;
  let text = '';
  const write = (part: string | Uint8Array): boolean => {
    text += part;
    return true;
  };
  const progress = showProgress({ write, isTTY }, () => at);
  for (const each of pages) {
    progress.on(each);
    at += 1000;
  }
  progress.end();
  return text;
}

const history = [0, 2000, 4000, 6000, 8000, 10_000, 12_000].map((rows) => page('history', rows, 14_000));

for (const { name, isTTY, pages, text } of [
  {
    name: 'without a terminal: a line each 5 s and one at the end; none of what there is none of',
    isTTY: false,
    pages: [page('event', 0, 0), page('event', 0, 0, true), ...history, page('history', 13_990, 14_000, true)],
    text:
      'history rows      10,000 of 14,000, 71 %, 2,000 rows/s\n' + //
      'history rows      13,990 of 13,990, 100 %, 1,999 rows/s\n',
  },
  {
    name: 'on a terminal: one line, written over',
    isTTY: true,
    pages: [page('doc', 0, 4000), page('doc', 2000, 4000), page('doc', 4000, 4000, true)],
    text:
      '\rdocuments         2,000 of 4,000, 50 %, 2,000 rows/s\u001b[K' + //
      '\rdocuments         4,000 of 4,000, 100 %, 2,000 rows/s\u001b[K\n',
  },
  {
    name: 'ended in the midst of a line, what follows begins on its own',
    isTTY: true,
    pages: [page('doc', 1000, 4000), page('doc', 3000, 4000)],
    text: '\rdocuments         3,000 of 4,000, 75 %, 2,000 rows/s\u001b[K\n',
  },
]) {
  test(`progress ${name}`, () => assert.equal(shown(isTTY, pages), text));
}
