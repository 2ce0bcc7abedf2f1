import { createContext, Script } from 'node:vm';
import { javaRegex } from '#engine/script/tbel/runtime/regex.ts';

/** Does the whole text match? */
export type WholeMatch = (text: string) => boolean;

/** A pattern of a user may need longer than the universe lasts; then its message fails and the lane goes on. */
const MATCH_TIMEOUT_MS = 100;
/** Keys and values come again and again: what was found out about them is kept. */
const MAX_KNOWN = 1000;
/** Longer texts are matched, but not remembered. */
const MAX_KNOWN_LENGTH = 200;

const GUARDED = new Script('regex.test(text)');
const guard: { regex?: RegExp; text?: string } = createContext({});

/**
 * Java's `matches()` of a pattern that a user wrote: the whole text, not a part of it.
 * @param flags of JavaScript. @throws Error when the pattern is none. What is returned throws when it takes too long.
 */
export function wholeMatch(pattern: string, flags = ''): WholeMatch {
  const regex = javaRegex(`^(?:${pattern})$`, flags);
  const known = new Map<string, boolean>();
  const isQuick = needsFewSteps(pattern);
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const isMatch = isQuick && text.length <= MAX_KNOWN_LENGTH ? regex.test(text) : guardedTest(regex, text, pattern);
    if (text.length > MAX_KNOWN_LENGTH) return isMatch;
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(text, isMatch);
    return isMatch;
  };
}

/** No repeated group, and no more than three open repetitions: at most about length³ steps. */
const needsFewSteps = (pattern: string): boolean => !/\)[*+?{]/.test(pattern) && (pattern.match(/[*+}]/g) ?? []).length <= 3;

/** The engine of regular expressions stops only where somebody asks it to: the time limit of `node:vm` does (0.3 ms a call). */
function guardedTest(regex: RegExp, text: string, pattern: string): boolean {
  guard.regex = regex;
  guard.text = text;
  try {
    return GUARDED.runInContext(guard, { timeout: MATCH_TIMEOUT_MS }) as boolean;
  } catch (cause) {
    throw new Error(`Pattern takes too long: ${pattern.slice(0, 100)}`, { cause });
  }
}
