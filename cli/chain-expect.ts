import type { DryRunResult } from '#engine/walk/dry-run.ts';
import { differences } from './test.ts';

type Raw = Record<string, unknown>;
/** Named by what is expected of them, name or id. */
const REFS: ReadonlySet<string> = new Set(['entity', 'from', 'to', 'originator']);
/** Kept as text; expected as text or as what it means. */
const TEXTS: ReadonlySet<string> = new Set(['data', 'params']);

export interface Expectation {
  /** Of each message, or of all of them. */
  readonly outcome?: string | readonly string[];
  /** All effects, in their order; of each only what is named here is compared. */
  readonly effects: readonly Raw[];
}

/** One line for everything that is not as expected. */
export function judge({ outcome, effects }: Expectation, result: DryRunResult): string[] {
  const lines: string[] = [];
  if (result.limited !== null) lines.push(result.limited);
  for (const name of result.unusedAnswers) lines.push(`answers: no node "${name}" has asked for an answer`);
  lines.push(...outcomeLines(outcome, result));
  const actual = [...result.messages, ...result.timers].flatMap((part) => part.effects as readonly unknown[] as readonly Raw[]);
  lines.push(...effectLines(effects, actual));
  // Why that is so, if it is because of these.
  if (lines.length > 0) for (const { chain, node, reason } of result.problems) lines.push(`node "${node}" of "${chain}" can not run: ${reason}`);
  return lines;
}

function outcomeLines(expected: Expectation['outcome'], { messages }: DryRunResult): string[] {
  if (expected === undefined) return [];
  const actual = messages.map(({ journey }) => journey?.outcome ?? null);
  const why = messages.flatMap(({ journey }) => journey?.messages.flatMap(({ reason }) => (reason === null ? [] : [reason])) ?? []);
  const lines = Array.isArray(expected)
    ? differences(expected, actual, 'outcome')
    : actual.flatMap((each, index) => differences(expected, each, actual.length === 1 ? 'outcome' : `outcome of message ${index + 1}`));
  return lines.length === 0 || why.length === 0 ? lines : [...lines, `reason: ${why.join('; ')}`];
}

/** Each expected effect is held against the next one of its kind and node; what stands between was not expected. */
function effectLines(expected: readonly Raw[], actual: readonly Raw[]): string[] {
  const lines: string[] = [];
  let next = 0;
  for (const [index, effect] of expected.entries()) {
    const found = actual.findIndex(
      ({ kind, node }, at) => at >= next && kind === effect['kind'] && (effect['node'] === undefined || effect['node'] === node),
    );
    const path = `effects[${index}]`;
    if (found < 0) {
      lines.push(`${path}: expected ${JSON.stringify(effect)}, got nothing like it`);
      continue;
    }
    for (const between of actual.slice(next, found)) lines.push(`not expected: ${short(between)}`);
    lines.push(...differences(effect, named(effect, actual[found]!), path));
    next = found + 1;
  }
  for (const rest of actual.slice(next)) lines.push(`not expected: ${short(rest)}`);
  return lines;
}

/** What of an effect the expectation speaks of, in its words. */
function named(expected: Raw, actual: Raw): Raw {
  const shown: Raw = {};
  for (const [key, wanted] of Object.entries(expected)) {
    if (!Object.hasOwn(actual, key)) continue;
    const value = actual[key];
    if (REFS.has(key) && typeof wanted === 'string') shown[key] = (value as { name?: unknown } | null)?.name ?? null;
    else if (REFS.has(key) && isObject(wanted) && isObject(value)) shown[key] = named(wanted, value);
    else shown[key] = TEXTS.has(key) && typeof wanted !== 'string' ? parsed(value) : value;
  }
  return shown;
}

const SHOWN_CHARS = 300;

/** As somebody would write it down. */
function short({ nodeId: _node, chain: _chain, ...effect }: Raw): string {
  const fields = Object.entries(effect).map(([key, value]) => {
    if (REFS.has(key) && isObject(value)) return [key, value['name'] ?? value];
    return [key, TEXTS.has(key) ? parsed(value) : value];
  });
  const text = JSON.stringify(Object.fromEntries(fields));
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}

function parsed(text: unknown): unknown {
  try {
    return JSON.parse(String(text));
  } catch {
    return text;
  }
}

const isObject = (value: unknown): value is Raw => typeof value === 'object' && value !== null && !Array.isArray(value);
