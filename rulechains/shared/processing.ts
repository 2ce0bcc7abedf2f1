import { type TSchema, Type } from 'typebox';
import type { Message } from '#engine/message.ts';

/** When the save nodes do which part of their work (specs: rule-nodes §3.5). */

const seconds = Type.Integer({
  title: 'Interval',
  description: 'Of the messages of one originator within one interval only the first counts.',
  minimum: 1,
  maximum: 86_400,
  unit: 's',
});

const strategy = (title: string) =>
  Type.Union(
    [
      Type.Object({ type: Type.Literal('ON_EVERY_MESSAGE') }, { title: 'On every message' }),
      Type.Object({ type: Type.Literal('DEDUPLICATE'), deduplicationIntervalSecs: seconds }, { title: 'Once in an interval' }),
      Type.Object({ type: Type.Literal('SKIP') }, { title: 'Never' }),
    ],
    { title, description: 'On every message, once in an interval, or never.' },
  );

const PART_TITLES = {
  timeseries: 'History',
  attributes: 'Attributes',
  latest: 'Latest values',
  webSockets: 'Live subscriptions',
  calculatedFields: 'Calculated fields',
};
export type Part = keyof typeof PART_TITLES;

/** @param parts the parts of the node's work that ADVANCED decides one by one. */
export const processingSettings = (parts: readonly Part[]) =>
  Type.Union(
    [
      Type.Object({ type: Type.Literal('ON_EVERY_MESSAGE') }, { title: 'On every message' }),
      Type.Object({ type: Type.Literal('WEBSOCKETS_ONLY') }, { title: 'Live subscriptions only' }),
      Type.Object({ type: Type.Literal('DEDUPLICATE'), deduplicationIntervalSecs: seconds }, { title: 'Once in an interval' }),
      Type.Object(
        { type: Type.Literal('ADVANCED'), ...Object.fromEntries(parts.map((part): [string, TSchema] => [part, strategy(PART_TITLES[part])])) },
        { title: 'One by one' },
      ),
    ],
    { title: 'Processing', description: 'Which messages are saved.' },
  );

interface Settings {
  readonly type: string;
  readonly deduplicationIntervalSecs?: number;
  readonly [part: string]: unknown;
}

/** Does this message do it? Asked again about the same message (its batch is run a second time) it answers the same. */
type Gate = (message: Message, ts: number) => boolean;
export type Gates<P extends Part> = { readonly [part in P]: Gate };

const always: Gate = () => true;
const never: Gate = () => false;

/** @throws Error when the configuration can not be used. */
export function startGates<P extends Part>(config: { processingSettings: unknown }, parts: readonly P[]): Gates<P> {
  const settings = config.processingSettings as Settings | null;
  const gates = (gateOf: (part: P) => Gate): Gates<P> => Object.fromEntries(parts.map((part) => [part, gateOf(part)])) as unknown as Gates<P>;
  const unusable = (): Error => new Error(`Can't convert value: ${JSON.stringify(config)}`);
  const once = ({ deduplicationIntervalSecs = 0 }: Settings): Gate => {
    if (deduplicationIntervalSecs < 1 || deduplicationIntervalSecs > 86_400) throw unusable();
    return oncePerInterval(deduplicationIntervalSecs * 1000);
  };
  switch (settings?.type) {
    case 'ON_EVERY_MESSAGE':
      return gates(() => always);
    case 'WEBSOCKETS_ONLY':
      return gates((part) => (part === 'webSockets' ? always : never));
    case 'DEDUPLICATE': {
      // One memory for all parts: the first message does everything.
      const gate = once(settings);
      return gates(() => gate);
    }
    case 'ADVANCED':
      return gates((part) => {
        const own = settings[part] as Settings | null | undefined;
        if (own?.type === 'ON_EVERY_MESSAGE') return always;
        if (own?.type === 'SKIP') return never;
        if (own?.type === 'DEDUPLICATE') return once(own);
        throw unusable();
      });
    default:
      throw unusable();
  }
}

/** Late messages find the last intervals; older ones count as new. */
const REMEMBERED_INTERVALS = 10;

function oncePerInterval(intervalMs: number): Gate {
  const firstByOriginator = new Map<number, Map<string, string>>();
  return (message, ts) => {
    const interval = Math.floor(ts / intervalMs);
    let seen = firstByOriginator.get(interval);
    if (!seen) {
      seen = new Map();
      firstByOriginator.set(interval, seen);
      if (firstByOriginator.size > REMEMBERED_INTERVALS) firstByOriginator.delete(firstByOriginator.keys().next().value!);
    }
    const first = seen.get(message.originator.id);
    if (first === undefined) seen.set(message.originator.id, message.id);
    return first === undefined || first === message.id;
  };
}

/** Refused at save, as Java's bean validation does. */
export function refuseProcessing(config: Record<string, unknown>, parts: readonly Part[]): string | null {
  const settings = config['processingSettings'];
  if (settings === null || settings === undefined) return 'processingSettings must not be null';
  if (typeof settings !== 'object' || (settings as Settings).type !== 'ADVANCED') return null;
  const missing = parts.find((part) => ((settings as Settings)[part] ?? null) === null);
  return missing === undefined ? null : `processingSettings.${missing} must not be null`;
}
