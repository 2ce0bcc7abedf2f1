import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { isJsonObject, type Json, parseJson, printJson } from '../json.ts';
import type { PortabilityHint, Script, ScriptLanguage } from '../script.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { requiredObject } from './required.ts';
import { AnyJson, typed } from './schemas.ts';
import { oneOf } from './telemetry-target.ts';

/** Everything of a test, reading its result included. */
export const TEST_TIMEOUT_MS = 5000;
export const LANGUAGES: readonly ScriptLanguage[] = ['JS', 'TBEL'];
export const LANGUAGE_QUERY = Type.Object({ scriptLang: Type.Optional(Type.String({ description: 'JS (default) or TBEL.' })) });

export interface Tested {
  readonly output: string | null;
  readonly error: string;
  /** Where ThingsBoard does something else, or refuses the script. */
  readonly hints?: readonly PortabilityHint[];
}

/** Beside an answer of the test dialogs; most scripts have none. */
export const hintsOf = (context: ApiContext, script: Script): { hints?: readonly PortabilityHint[] } => {
  const hints = context.scripts.hints(script);
  return hints.length > 0 ? { hints } : {};
};

/** Runs a rule node's script once, for the editor (specs: rest-api §2.9). A fault of the script is an answer, not an error. */
export default async function testScript(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const schema = { tags: ['Rule chains'], summary: 'Runs a script once', body: AnyJson, querystring: LANGUAGE_QUERY };
  app.post('/api/ruleChain/testScript', { config: { who: 'T' }, schema }, async ({ body, query }): Promise<Tested> => {
    const fields = requiredObject(body);
    const language = oneOf(query, 'scriptLang', LANGUAGES, 'JS');
    const { script, scriptType, argNames, msg, metadata, msgType } = fields;
    if (typeof script !== 'string') throw badRequest('Validation error: script must not be null');
    const shape = SHAPES[String(scriptType)];
    if (!shape) return { output: '', error: `Unsupported script type: ${String(scriptType)}` };
    const names = Array.isArray(argNames) && argNames.length > 0 ? argNames.map(String) : undefined;
    const input: Input = { msg: text(msg), metadata: strings(metadata), msgType: text(msgType), language };
    const tested: Script = { kind: 'any', language, body: script, ...(names ? { argNames: names } : {}) };
    const hints = hintsOf(context, tested);
    const result = await context.scripts.runOnce(tested, [input.msg, JSON.stringify(input.metadata), input.msgType], { timeoutMs: TEST_TIMEOUT_MS });
    if (!result.ok) return { output: '', error: result.fault.message || 'The script failed', ...hints };
    try {
      return { output: shape(result.json === undefined ? undefined : parseJson(result.json), input), error: '', ...hints };
    } catch (cause) {
      return { output: '', error: (cause as Error).message, ...hints };
    }
  });
}

interface Input {
  readonly msg: string;
  readonly metadata: Record<string, string>;
  readonly msgType: string;
  readonly language: ScriptLanguage;
}

const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : printJson(value as Json));

function strings(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(Object.entries(value).flatMap(([key, part]) => (part === null || part === undefined ? [] : [[key, text(part)]])));
}

/** What each use of a script must return, and how the editor shows it. */
const SHAPES: Readonly<Record<string, (result: Json | undefined, input: Input) => string | null>> = {
  filter(result, { language }) {
    if (typeof result !== 'boolean') throw wrongType(result, language);
    return String(result);
  },
  switch(result, { language }) {
    if (typeof result === 'string') return JSON.stringify([result]);
    if (!Array.isArray(result)) throw wrongType(result, language);
    for (const label of result) if (typeof label !== 'string') throw wrongType(label, language);
    return JSON.stringify([...new Set(result)]);
  },
  json: (result) => (result === undefined ? null : printJson(result)),
  string(result, { language }) {
    if (typeof result === 'string') return result;
    // A log line of TBEL may be anything.
    if (language === 'TBEL' && result !== undefined) return printJson(result);
    throw wrongType(result, language);
  },
  update: (result, input) => (Array.isArray(result) ? `[${result.map((one) => updated(one, input)).join(',')}]` : updated(result, input)),
  generate: (result, input) => updated(result, input),
};

/** What a transformation leaves out keeps its old value; metadata is text. */
function updated(result: Json | undefined, input: Input): string {
  if (!isJsonObject(result)) throw wrongType(result, input.language);
  const { msg, metadata, msgType } = result;
  // Keys in one order: the original's is that of a hash.
  const flat = Object.entries(metadata === undefined || metadata === null ? input.metadata : strings(metadata)).sort(([a], [b]) => (a < b ? -1 : 1));
  const type = msgType === undefined || msgType === null || msgType === '' ? input.msgType : text(msgType);
  return `{"msg":${msg === undefined ? input.msg : printJson(msg)},"metadata":${JSON.stringify(Object.fromEntries(flat))},"msgType":${JSON.stringify(type)}}`;
}

const wrongType = (value: Json | undefined, language: ScriptLanguage): Error =>
  new Error(`Wrong result type: ${language === 'TBEL' ? className(value) : typeName(value)}`);

/** The original's class of a TBEL value. */
function className(value: Json | undefined): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'ArrayList';
  if (isJsonObject(value)) return 'LinkedHashMap';
  if (typeof value === 'string') return 'String';
  if (typeof value === 'boolean') return 'Boolean';
  const isWhole = typeof value === 'bigint' || Number.isInteger(value);
  return isWhole ? (Math.abs(Number(value)) <= 0x7fffffff ? 'Integer' : 'Long') : 'Double';
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  return Array.isArray(value)
    ? 'ARRAY'
    : isJsonObject(value as Json)
      ? 'OBJECT'
      : typeof value === 'number' || typeof value === 'object' || typeof value === 'bigint'
        ? 'NUMBER'
        : (typeof value).toUpperCase();
}
