import { statSync } from 'node:fs';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { PortabilityHint, ScriptArgs, ScriptEngine, ScriptResult } from '#engine/script.ts';
import { type ConverterCases, findConverters } from './converter-cases.ts';

/** What became of one case. Names are paths below the folder that was asked for. */
export interface CaseOutcome {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped: the script's error, or one line for each field that differs. */
  readonly reasons: readonly string[];
}

/**
 * `fieldbridge test DIR`: runs the cases of every converter below a folder through the same engine, limits and isolation as the server.
 * @returns the exit code: 0 all passed or skipped, 1 some failed, 2 nothing to test there.
 */
export async function testConverters(
  dir: string,
  { json = false, write = (text: string): unknown => process.stdout.write(text) } = {},
): Promise<number> {
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    process.stderr.write(`${dir} is no folder\n`);
    return 2;
  }
  const converters = findConverters(dir);
  if (converters.length === 0) {
    process.stderr.write(`No converters below ${dir}: neither uplink.js or downlink.js with cases/*.json, nor {uplink,downlink}/converter.json\n`);
    return 2;
  }
  const engine = openScriptEngine();
  const outcomes: CaseOutcome[] = [];
  const hints: NamedHint[] = [];
  try {
    // All at once: the engine makes batches of what waits.
    for (const some of await Promise.all(converters.map((converter) => runCases(engine, converter)))) outcomes.push(...some);
    for (const { name, script } of converters) for (const hint of engine.hints(script)) hints.push({ name, ...hint });
  } finally {
    await engine.close();
  }
  return conclude(outcomes, json, write, hints);
}

/** With the path of the script below the folder. */
type NamedHint = PortabilityHint & { readonly name: string };

/** Tells how the cases went. @returns the exit code: 1 when some failed */
export function conclude(
  outcomes: readonly CaseOutcome[],
  json: boolean,
  write: (text: string) => unknown,
  hints: readonly NamedHint[] = [],
): number {
  const count = (outcome: CaseOutcome['outcome']): number => outcomes.filter((each) => each.outcome === outcome).length;
  const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')];
  write(json ? `${JSON.stringify({ passed, failed, skipped, cases: outcomes, ...(hints.length > 0 ? { hints } : {}) })}\n` : report(outcomes));
  if (!json) for (const { name, line, column, message } of hints) write(`hint ${name}:${line}:${column}: ${message}\n`);
  if (!json) write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed > 0 ? 1 : 0;
}

/** The failures one by one; the skipped ones by reason. */
function report(outcomes: readonly CaseOutcome[]): string {
  let text = '';
  const skipped = new Map<string, number>();
  for (const { name, outcome, reasons } of outcomes) {
    if (outcome === 'failed') text += `FAILED ${name}\n${reasons.map((reason) => `  ${reason}\n`).join('')}`;
    if (outcome === 'skipped') for (const reason of reasons) skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
  }
  for (const [reason, times] of skipped) text += `skipped ${times}: ${reason}\n`;
  return text;
}

async function runCases(engine: ScriptEngine, { script, cases }: ConverterCases): Promise<CaseOutcome[]> {
  const outcomes: CaseOutcome[] = [];
  const runnable: { name: string; args: ScriptArgs; expected: unknown }[] = [];
  for (const each of cases) {
    if (each.skip !== undefined) outcomes.push({ name: each.name, outcome: 'skipped', reasons: [each.skip] });
    else if (each.fault !== undefined) outcomes.push({ name: each.name, outcome: 'failed', reasons: [each.fault] });
    else runnable.push({ name: each.name, args: each.args!, expected: each.expected });
  }
  const results = await engine.run(
    script,
    runnable.map(({ args }) => args),
  );
  runnable.forEach(({ name, expected }, index) => {
    outcomes.push({ name, ...judge(results[index]!, expected) });
  });
  return outcomes;
}

function judge(result: ScriptResult, expected: unknown): Omit<CaseOutcome, 'name'> {
  if (!result.ok) {
    const { reason, message } = result.fault;
    return { outcome: reason === 'unavailable' ? 'skipped' : 'failed', reasons: [message] };
  }
  const reasons = differences(expected, result.json === undefined ? null : JSON.parse(result.json));
  return { outcome: reasons.length > 0 ? 'failed' : 'passed', reasons };
}

const MAX_DIFFERENCES = 50;

/** One line for each field in which two JSON values differ; the order of keys is no difference. */
export function differences(expected: unknown, actual: unknown, path = ''): string[] {
  const where = path === '' ? 'result' : path;
  if (!isContainer(expected) || !isContainer(actual) || Array.isArray(expected) !== Array.isArray(actual)) {
    return expected === actual ? [] : [`${where}: expected ${shown(expected)}, got ${shown(actual)}`];
  }
  const lines: string[] = [];
  for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const below = Array.isArray(expected) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    if (!Object.hasOwn(actual, key)) lines.push(`${below}: expected ${shown(expected[key])}, got nothing`);
    else if (!Object.hasOwn(expected, key)) lines.push(`${below}: expected nothing, got ${shown(actual[key])}`);
    else lines.push(...differences(expected[key], actual[key], below));
    if (lines.length > MAX_DIFFERENCES) return [...lines.slice(0, MAX_DIFFERENCES), '…'];
  }
  return lines;
}

const isContainer = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
