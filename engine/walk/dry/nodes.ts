import { errorText, Rejected } from '#engine/errors.ts';
import { type EntityRef, type Message, withChanges } from '#engine/message.ts';
import type { AnyNode, Emission, NodeInfo, Outcome, StartContext } from '#engine/node.ts';
import { type NodeRegistry, Registry } from '#engine/registry.ts';
import type { ScriptResult } from '#engine/script.ts';
import type { RpcAnswer, RpcRequest, ServiceName, Services } from '#engine/services.ts';
import type { OutsideBody } from './effects.ts';
import { jsonValues } from './values.ts';
import type { DryWork } from './work.ts';

/** What a target or a device says to a node. */
export interface Answer {
  /** Default `Success`. */
  readonly relation?: string | readonly string[];
  /** New data: text, or what becomes JSON. */
  readonly data?: unknown;
  /** Added to that of the message. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The text of `Failure`. */
  readonly error?: string;
}

export interface DryHost {
  readonly work: DryWork;
  /** Given for this node; undefined: one is assumed. */
  answerFor(node: NodeInfo): Answer | undefined;
  /** Resolves when the chain, if there is one, can be called. */
  load(chainId: string): Promise<void>;
  exists(chainId: string): boolean;
  isThere(entity: EntityRef): Promise<boolean>;
  /** The time of the dry run is over. */
  isOver(): boolean;
}

/** A script that runs into its limits again and again is not asked for ever. */
const SCRIPT_CALLS = 16;
export const OVER = 'The time of the dry run is over';

/** The same node types, with nothing in them that acts: no timers of their own, no connections, everything that leaves the process is noted instead. */
export const dryNodes = (nodes: NodeRegistry, host: DryHost): NodeRegistry => new Registry(nodes.all.map((definition) => dry(definition, host)));

function dry(definition: AnyNode, host: DryHost): AnyNode {
  const { send, ...rest } = definition;
  const start = (context: StartContext<never>) => {
    if (host.isOver()) throw new Error(OVER);
    return definition.start?.({ ...context, every: () => {} });
  };
  if (send) return { ...rest, start, process: (message, { config, node }) => answered(definition, message, config, node, host) };
  return {
    ...rest,
    start,
    ...(rest.process && { process: (message, context) => loaded(definition.process!(message, noted(context, host)), host) }),
    ...(rest.processBatch && { processBatch: (messages, context) => loaded(definition.processBatch!(messages, noted(context, host)), host) }),
    ...(rest.due && { due: (key, timer, context) => definition.due!(key, timer, noted(context, host)) }),
  };
}

/** An external node: what it would have sent, and the message goes on as if it had been. */
function answered({ preview }: AnyNode, message: Message, config: unknown, node: NodeInfo, host: DryHost): Emission {
  let request: Record<string, unknown>;
  try {
    request = jsonValues(preview?.(message, config) ?? {});
  } catch (cause) {
    const error = errorText(cause);
    return { to: 'Failure', error, message: withChanges(message, { metadata: { ...message.metadata, error } }) };
  }
  const answer = host.answerFor(node);
  const relation = answer?.relation ?? 'Success';
  host.work.outside.push({ node, body: { kind: 'external', request, relation, assumed: !answer } });
  return { to: relation, message: changed(message, answer), error: answer?.error };
}

function changed(message: Message, { data, metadata }: Answer = {}): Message {
  if (data === undefined && metadata === undefined) return message;
  return withChanges(message, { data: data === undefined ? message.data : textOf(data), metadata: { ...message.metadata, ...metadata } });
}

const textOf = (data: unknown): string => (typeof data === 'string' ? data : JSON.stringify(data));

/** A called chain is there before the message comes to it. */
function loaded<T>(outcome: T | Promise<T>, host: DryHost): T | Promise<T> {
  if (outcome instanceof Promise) return outcome.then((given) => loaded(given as T, host));
  const outcomes = (Array.isArray(outcome) ? outcome : [outcome]) as Outcome[];
  const calls = outcomes.flatMap((each) => (typeof each === 'object' && each !== null && 'call' in each ? [each.call] : []));
  return calls.length === 0 ? outcome : Promise.all(calls.map((chainId) => host.load(chainId))).then(() => outcome);
}

type Note = (body: OutsideBody) => void;
type Recorders = { readonly [N in ServiceName]?: (real: Services[N], note: Note, host: DryHost, node: NodeInfo) => Services[N] };

/** Services that act by themselves, beside the unit of work. */
const RECORDERS: Recorders = {
  rpc: (_, note, host, node) => ({
    async call(request) {
      const given = host.answerFor(node);
      const answer = rpcAnswer(request, given);
      const { deviceId, method, params, oneway, expiresAt } = request;
      note({ kind: 'rpc', entity: { entityType: 'DEVICE', id: deviceId }, method, params, oneway, expiresAt, answer, assumed: !given });
      return answer;
    },
    reply: (sessionId, requestId, data) => note({ kind: 'rpcReply', sessionId, requestId, data }),
    complete: (requestId, answer) => note({ kind: 'rpcAnswer', requestId, answer }),
  }),
  rest: (_, note) => ({ reply: (requestId, { data }) => note({ kind: 'restReply', requestId, data }) }),
  attributes: (real, note) => ({
    ...real,
    notifyDevice(id, change) {
      const entity: EntityRef = { entityType: 'DEVICE', id };
      note({
        kind: 'deviceNotified',
        entity,
        ...('updated' in change ? { updated: change.updated.map(([key]) => key) } : { deleted: change.deleted }),
      });
    },
  }),
  deviceState: (_, note, host) => ({
    async report(id, event, at) {
      const entity: EntityRef = { entityType: 'DEVICE', id };
      if (!(await host.isThere(entity))) throw new Rejected(`Device with id [${id}] is not found`);
      note({ kind: 'deviceState', entity, event, at });
    },
  }),
  log: (_, note) => ({ info: (text) => note({ kind: 'log', text }) }),
  chains: (real, _, host) => ({ ...real, exists: (chainId) => host.exists(chainId) }),
  scripts: (real, _, host) => ({
    ...real,
    async run(script, calls) {
      const results: ScriptResult[] = [];
      for (let at = 0; at < calls.length; at += SCRIPT_CALLS) {
        const some = calls.slice(at, at + SCRIPT_CALLS);
        if (host.isOver()) results.push(...some.map(() => ({ ok: false, fault: { reason: 'unavailable', message: OVER } }) as const));
        else results.push(...(await real.run(script, some)));
      }
      return results;
    },
  }),
};

type Context = Parameters<NonNullable<AnyNode['process']>>[1];

function noted(context: Context, host: DryHost): Context {
  const { node } = context;
  const note: Note = (body) => void host.work.outside.push({ node, body });
  const own: Record<string, unknown> = { ...context };
  for (const [service, recorder] of Object.entries(RECORDERS)) {
    if (service in context) own[service] = (recorder as (...given: unknown[]) => unknown)(own[service], note, host, node);
  }
  return own as Context;
}

const RPC_ERRORS = ['NO_ACTIVE_CONNECTION', 'TIMEOUT', 'FAILED'] as const;

function rpcAnswer({ oneway }: RpcRequest, answer: Answer = {}): RpcAnswer {
  const { relation = 'Success', error, data } = answer;
  if (relation === 'Failure' || error !== undefined) return { ok: false, error: RPC_ERRORS.find((known) => known === error) ?? 'FAILED' };
  return { ok: true, data: data === undefined ? (oneway ? null : '{}') : textOf(data) };
}
