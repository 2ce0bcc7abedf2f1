import { type Static, Type } from 'typebox';
import { firstJson, isJsonObject, type JsonObject, javaDouble, keyProblem, type Value } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import { defineNode, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { attributeScope } from '../../shared/attributes.ts';
import { enriched } from '../../shared/enrich.ts';
import { nullable, scope } from '../../shared/fields.ts';
import { inOrderByOriginator } from '../../shared/in-order.ts';
import { compileExpression, type Expression } from '../../shared/math-expression.ts';
import { BINARY, UNARY } from '../../shared/math-functions.ts';
import { keyOf, readArguments } from '../../shared/math-values.ts';
import { doubleJson, longJson, roundHalfUp, toLong } from '../../shared/numbers.ts';

const PLACES = ['ATTRIBUTE', 'TIME_SERIES', 'CONSTANT', 'MESSAGE_BODY', 'MESSAGE_METADATA'] as const;
const WHOLE: ReadonlySet<string> = new Set(['CEIL', 'FLOOR', 'GET_EXP']);
const MOST_ARGUMENTS = 16;
const LONGEST_EXPRESSION = 256;

const MathFunction = Config({
  operation: nullable(Type.Enum([...Object.keys(BINARY), ...Object.keys(UNARY), 'CUSTOM']), {
    title: 'Operation',
    description: 'A function of one or two arguments, or CUSTOM: the expression below.',
  }),
  arguments: nullable(
    Type.Array(
      Type.Object({
        name: nullable(Type.String(), { title: 'Name', description: 'Of the variable in the expression.' }),
        type: nullable(Type.Enum([...PLACES]), { title: 'From', description: 'Where the number comes from.' }),
        key: nullable(Type.String(), { title: 'Key', description: 'Pattern; of a constant the number itself.' }),
        attributeScope: scope({ title: 'Scope', description: 'Of an attribute; empty: SERVER_SCOPE.' }),
        defaultValue: nullable(Type.Number(), { title: 'Default', description: 'When the input is missing, null or empty.' }),
      }),
    ),
    { title: 'Arguments', description: 'In the order of the operation.' },
  ),
  customFunction: nullable(Type.String(), {
    title: 'Expression',
    description: 'Of CUSTOM: + - * / % ^, brackets, pi, e, and functions such as sqrt, sin, ln, logab(base, x), pow(x, y).',
    examples: ['(x - 32) / 1.8'],
  }),
  result: nullable(
    Type.Object({
      type: nullable(Type.Enum([...PLACES]), { title: 'To', description: 'Where the result goes; not CONSTANT.' }),
      key: nullable(Type.String(), { title: 'Key', description: 'Pattern in the message; taken as it is for attributes and time series.' }),
      resultValuePrecision: Type.Integer({ title: 'Decimals', description: 'Rounded half up; 0: an integer, cut off. Time series are not rounded.' }),
      addToBody: Type.Boolean({ title: 'Also to data', description: 'For attributes and time series.' }),
      addToMetadata: Type.Boolean({ title: 'Also to metadata', description: 'For attributes and time series.' }),
      attributeScope: scope({ title: 'Scope', description: 'Of an attribute; empty: SERVER_SCOPE.' }),
    }),
    { title: 'Result', description: 'Where the result goes.' },
  ),
});
type MathFunction = Static<typeof MathFunction>;
type Result = NonNullable<MathFunction['result']>;
type Context = NodeContext<MathFunction, Expression | null, 'attributes' | 'telemetry' | 'messages'>;

export default defineNode({
  type: 'org.thingsboard.rule.engine.math.TbMathNode',
  version: 0,
  family: 'ACTION',
  label: 'math function',
  summary: 'Calculates a number from the message, attributes and telemetry.',
  relations: ['Success'],
  config: MathFunction,
  defaults: {
    operation: 'CUSTOM',
    arguments: [{ name: 'x', type: 'MESSAGE_BODY', key: 'temperature', attributeScope: null, defaultValue: null }],
    customFunction: '(x - 32) / 1.8',
    result: {
      type: 'MESSAGE_BODY',
      key: 'temperatureCelsius',
      resultValuePrecision: 2,
      addToBody: false,
      addToMetadata: false,
      attributeScope: null,
    },
  },
  needs: ['attributes', 'telemetry', 'messages'],
  start({ config: { operation, arguments: given, customFunction, result } }): Expression | null {
    // Lists of files may hold null.
    if (operation === null || !given?.every((each) => each !== null) || result === null)
      throw new Error('Operation, arguments and result should be specified!');
    const [least, most] = operation === 'CUSTOM' ? [0, MOST_ARGUMENTS] : operation in UNARY ? [1, 1] : [2, 2];
    if (given.length < least || given.length > most) throw new Error(`Args count: ${given.length} does not match operation: ${operation}`);
    if (operation !== 'CUSTOM') return null;
    if ((customFunction ?? '').trim() === '') throw new Error('Custom function is blank!');
    if (customFunction!.length > LONGEST_EXPRESSION) throw new Error(`Custom function is too complex (length > ${LONGEST_EXPRESSION})!`);
    return compiled(customFunction!, given);
  },
  // One message of an originator at a time: the next may read what this one stores.
  processBatch: (messages, context) => inOrderByOriginator(messages, (message) => calculate(message, context)),
});

/** A wrong expression fails each message, as in the original; the node starts. */
function compiled(text: string, given: NonNullable<MathFunction['arguments']>): Expression {
  try {
    return compileExpression(
      text,
      given.map(({ name }) => name ?? ''),
    );
  } catch (cause) {
    return () => {
      throw cause;
    };
  }
}

async function calculate(message: Message, context: Context): Promise<Outcome> {
  const { config } = context;
  const result = config.result!;
  const usesBody = config.arguments!.some(({ type }) => type === 'MESSAGE_BODY') || result.type === 'MESSAGE_BODY';
  const body = usesBody ? bodyOf(message) : null;
  const value = apply(context, await readArguments(message, config.arguments!, body, context));
  const key = keyOf(message, result);
  const isStored = store(message, value, context);
  // The original does not read the data for this alone, and finds out when the value is stored.
  if (body === null && isAdded(result, 'addToBody')) return { to: 'Failure', message, error: 'No value present', effect: isStored };
  let after = message;
  const shown = isStored && !result.addToBody && !result.addToMetadata ? null : rounded(value, config);
  if (shown !== null && (result.type === 'MESSAGE_BODY' || isAdded(result, 'addToBody'))) after = enriched(after, 'DATA', [[key, shown.json]]);
  if (shown !== null && (result.type === 'MESSAGE_METADATA' || isAdded(result, 'addToMetadata'))) {
    after = enriched(after, 'METADATA', [[key, shown.text]]);
  }
  return { to: 'Success', message: after, effect: isStored };
}

const isAdded = (result: Result, to: 'addToBody' | 'addToMetadata'): boolean =>
  (result.type === 'ATTRIBUTE' || result.type === 'TIME_SERIES') && result[to];

function bodyOf(message: Message): JsonObject {
  const data = firstJson(message);
  if (!isJsonObject(data)) throw new Error('Message body is not a JSON object!');
  return data;
}

function apply({ config, state }: Context, values: readonly number[]): number {
  const operation = config.operation!;
  if (state) return state(new Map(config.arguments!.map(({ name }, index) => [name ?? '', values[index]!])));
  if (operation in UNARY) return UNARY[operation as keyof typeof UNARY](values[0]!);
  return BINARY[operation as keyof typeof BINARY](values[0]!, values[1]!);
}

/** Attributes are rounded, time series are not; both are stored under the key as it is configured. */
function store({ originator }: Message, value: number, { config, attributes, telemetry, messages }: Context): boolean {
  const result = config.result!;
  const key = result.key ?? '';
  switch (result.type) {
    case 'MESSAGE_BODY':
    case 'MESSAGE_METADATA':
      return false;
    case 'ATTRIBUTE': {
      checkKey(key);
      const scope = attributeScope(result.attributeScope || 'SERVER_SCOPE');
      const entry = [key, rounded(value, config).value] as const;
      attributes.save(originator, scope, [entry], messages.now());
      if (scope === 'SHARED_SCOPE' && originator.entityType === 'DEVICE') attributes.notifyDevice(originator.id, { updated: [entry] });
      return true;
    }
    case 'TIME_SERIES':
      checkKey(key);
      telemetry.save(originator, messages.now(), [[key, { type: 'DOUBLE', value: finite(value) }]]);
      return true;
    default:
      throw new Error(`Result type is not supported: ${result.type}!`);
  }
}

function checkKey(key: string): void {
  const problem = keyProblem(key);
  if (problem) throw new Error(problem);
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Error(`The result is ${value}!`);
  return value;
}

function rounded(value: number, { operation, result }: MathFunction): { json: ReturnType<typeof doubleJson>; text: string; value: Value } {
  const precision = result!.resultValuePrecision;
  if (precision === 0 || WHOLE.has(operation!)) {
    const long = longJson(toLong(value));
    return { json: long, text: String(long), value: { type: 'LONG', value: long } };
  }
  const double = roundHalfUp(finite(value), precision);
  return { json: doubleJson(double), text: javaDouble(double), value: { type: 'DOUBLE', value: double } };
}
