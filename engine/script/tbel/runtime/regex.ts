import { fault } from './values.ts';

/** Java's regular expressions as those of JavaScript: what is written differently, and refused where there is no equal. */

const CLASSES: Readonly<Record<string, string>> = {
  Lower: 'a-z',
  Upper: 'A-Z',
  ASCII: '\\x00-\\x7f',
  Alpha: 'a-zA-Z',
  Digit: '0-9',
  Alnum: 'a-zA-Z0-9',
  Punct: '!-\\/:-@\\[-`{-~',
  Graph: '!-~',
  Print: ' -~',
  Blank: ' \\t',
  Cntrl: '\\x00-\\x1f\\x7f',
  XDigit: '0-9a-fA-F',
  Space: '\\s',
};

const known = new Map<string, RegExp>();
const MAX_KNOWN = 100;

export function javaRegex(pattern: string, flags: string): RegExp {
  const key = `${flags}/${pattern}`;
  let regex = known.get(key);
  if (regex === undefined) {
    const { source, more } = translated(pattern);
    try {
      regex = new RegExp(source, flags + more);
    } catch (cause) {
      return fault(`${(cause as Error).message} near index 0`);
    }
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(key, regex);
  }
  regex.lastIndex = 0;
  return regex;
}

function translated(pattern: string): { source: string; more: string } {
  let source = '';
  let more = '';
  let inClass = 0;
  for (let at = 0; at < pattern.length; ) {
    const char = pattern[at]!;
    if (char === '\\') {
      const next = pattern[at + 1] ?? '';
      if (next === 'Q') {
        const end = pattern.indexOf('\\E', at + 2);
        const literal = pattern.slice(at + 2, end < 0 ? pattern.length : end);
        for (const each of literal) source += /[\\^$.*+?()[\]{}|/-]/.test(each) ? `\\${each}` : each;
        at = end < 0 ? pattern.length : end + 2;
      } else if ((next === 'p' || next === 'P') && pattern[at + 2] === '{') {
        const end = pattern.indexOf('}', at);
        const name = pattern.slice(at + 3, end);
        const inner = Object.hasOwn(CLASSES, name) ? CLASSES[name]! : null;
        if (end < 0 || inner === null) {
          more = more.includes('u') ? more : `${more}u`;
          source += pattern.slice(at, end < 0 ? pattern.length : end + 1).replace('{Is', '{');
        } else source += inClass > 0 && next === 'p' ? inner : `[${next === 'P' ? '^' : ''}${inner}]`;
        at = end < 0 ? pattern.length : end + 1;
      } else {
        source +=
          next === 'A' ? '^' : next === 'z' || next === 'Z' ? '$' : next === 'h' ? '[ \\t]' : next === 'R' ? '(?:\\r\\n|[\\n\\r])' : char + next;
        at += 2;
      }
      continue;
    }
    if (char === '(' && pattern.startsWith('(?', at) && inClass === 0) {
      const flags = /^\(\?([imsx]+)\)/.exec(pattern.slice(at, at + 8));
      if (flags !== null) {
        for (const flag of flags[1]!) if (flag !== 'x' && !more.includes(flag)) more += flag;
        at += flags[0].length;
        continue;
      }
      if (pattern.startsWith('(?>', at)) return fault('atomic groups are not supported');
    }
    if (inClass === 0 && char === '+' && /[*+?}]/.test(pattern[at - 1] ?? '') && pattern[at - 2] !== '\\') {
      // A possessive quantifier matches what the greedy one does, or less; the greedy one is the nearest.
      at++;
      continue;
    }
    if (char === '[') {
      source += inClass > 0 ? '' : char;
      inClass++;
    } else if (char === ']' && inClass > 0) {
      inClass--;
      source += inClass > 0 ? '' : char;
    } else source += char;
    at++;
  }
  return { source, more };
}

/** What `$1` and `\$` in a replacement make of a match. */
export function replacement(by: string): (found: readonly string[]) => string {
  return (found) => {
    let groups = 0;
    while (typeof found[groups + 1] !== 'number' && groups + 1 < found.length) groups++;
    let text = '';
    for (let at = 0; at < by.length; at++) {
      const char = by[at]!;
      if (char === '\\') {
        at++;
        if (at >= by.length) return fault('character to be escaped is missing');
        text += by[at];
      } else if (char === '$') {
        let digits = '';
        while (/\d/.test(by[at + 1] ?? '') && (digits === '' || Number(digits + by[at + 1]) <= groups)) digits += by[++at];
        if (digits === '') return fault('Illegal group reference');
        if (Number(digits) > groups) return fault(`No group ${digits}`);
        text += found[Number(digits)] ?? '';
      } else text += char;
    }
    return text;
  };
}
