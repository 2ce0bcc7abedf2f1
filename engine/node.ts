import type { Static, TSchema } from 'typebox';
import type { Message } from './message.ts';
import type { Notifications } from './notifications.ts';
import type { ServiceName, Services } from './services.ts';

export type NodeFamily = 'FILTER' | 'ENRICHMENT' | 'TRANSFORMATION' | 'ACTION' | 'ANALYTICS' | 'EXTERNAL' | 'FLOW';

/** One emission: the message (changed or not) leaves by these relation types. `error` is the failure text of `Failure`. */
export interface Emission {
  readonly to: string | readonly string[];
  readonly message?: Message;
  readonly error?: string;
  /** Overrides the definition's `effect` for this message. */
  readonly effect?: boolean;
  /** Of `send`: the failure is one that passes (the target is away); what `error` says is true of the target, not of this message. */
  readonly away?: boolean;
  /** From here on no failure holds the message for another try: it becomes a dead letter at once ("acknowledge" node). */
  readonly acknowledge?: boolean;
}

/** How the flow nodes leave the path that the connections draw. */
export type Flow =
  /**
   * "rule chain": (chain, node) goes on the message's stack and it goes on at the first node of that chain, which runs whole before the caller goes on.
   * Unknown chain, or one without a first node: acknowledged. Own (chain, node) already on the stack: `Failure`.
   */
  | { readonly call: string; readonly message?: Message }
  /** "output": pops the stack and goes on behind the calling node by this label. Empty stack, or caller gone: acknowledged. */
  | { readonly return: string }
  /** "checkpoint": a copy with a new id goes to the end of its lane and continues behind this node by `Success`; the original is acknowledged. */
  | { readonly requeue: string | null }
  /**
   * Early acknowledgement of what the node keeps ("deduplication", "delay"): the message stays here, durable under this key, and holds back nobody. The node finds
   * it by `kept.list` when its timer is due and ends it by `kept.release`.
   */
  | { readonly keep: string }
  /**
   * The message is acknowledged; when the batch is durable `later` runs once, beside the lane, and what it emits become new messages behind this node
   * (a device's answer). Throwing emits the message by `Failure`. Not run again after a crash.
   */
  | { readonly later: () => Promise<readonly Emission[]> };

/**
 * Where a message goes: a relation type; an emission; or a list of emissions, each of which becomes a new message (copy with a new id) while the original is
 * acknowledged. `[]` acknowledges without going on. A list of one is no copy: the message itself goes on. Throwing takes `Failure`; in `processBatch` an Error
 * in the list does so for its message alone. An error of our own with retry `later` or `reconnect` and an unconnected `Failure` holds the message for another try.
 */
export type Outcome = string | Emission | readonly Emission[] | Flow;

export interface NodeInfo {
  readonly id: string;
  readonly name: string;
  readonly chainId: string;
  readonly chainName: string;
  readonly tenantId: string;
  readonly queueName: string | null;
  /** The process that runs it, as `serviceId` in metadata names it. */
  readonly serviceId: string;
}

export type NodeContext<C, State, N extends ServiceName> = {
  readonly config: C;
  readonly node: NodeInfo;
  readonly state: State;
} & Pick<Services, N>;

/** What a node gets when it starts; services whose writes need a batch are not there yet. */
export type StartContext<C> = {
  readonly config: C;
  readonly node: NodeInfo;
  readonly scripts: Pick<Services['scripts'], 'check'>;
  readonly chains: Services['chains'];
  readonly entities: Pick<Services['entities'], 'find'>;
  /** Runs `tick` about every `everyMs` while the chain is loaded, in the lane of its originator; what it emits leaves the node by its relation. Drift-free. */
  readonly every: (everyMs: number, tick: (run: Pick<Services, 'scripts' | 'messages'>) => Promise<readonly Emission[] | 'stop'>) => void;
};

/** What the outbox gives to `send`: nothing that writes with a batch, for there is none. */
export type SendContext<C, State> = {
  readonly config: C;
  readonly node: NodeInfo;
  readonly state: State;
  /** Aborts when the process stops or the time is over (`sendTimeoutMs`). */
  readonly signal: AbortSignal;
  readonly entities: Pick<Services['entities'], 'find' | 'customerOf'>;
  readonly settings: Services['settings'];
  /** Saves on its own, at once. */
  readonly notifications: Notifications;
};

export interface NodeDefinition<S extends TSchema = TSchema, State = unknown, N extends ServiceName = ServiceName> {
  /** ThingsBoard's class name, or `family.name` of our own. */
  readonly type: string;
  /** Other class strings under which the same node is found in files. */
  readonly aliases?: readonly string[];
  /** `configurationVersion`. */
  readonly version: number;
  readonly family: NodeFamily;
  readonly label: string;
  readonly summary: string;
  /** What its status says although it runs: something that it needs is not here. */
  readonly notice?: string;
  /** Without `Failure`, which every node has. */
  readonly relations: readonly string[];
  /** Those of them that the palette does not offer. */
  readonly unlisted?: readonly string[];
  /** The user may draw any label (switch, output of a called chain). */
  readonly customRelations?: boolean;
  readonly inputs?: boolean;
  readonly usesQueueName?: boolean;
  /** Only in chains of this type. Default both. */
  readonly chainTypes?: readonly ('CORE' | 'EDGE')[];
  /** Success (any relation but Failure) means that something was stored or sent: the message counts as *stored*. */
  readonly effect?: boolean;
  readonly config: S;
  /** What a freshly dropped node gets (`defaultConfiguration` of the palette). */
  readonly defaults: Record<string, unknown>;
  /** ThingsBoard's "empty configuration" nodes accept any key; the others are saved and unusable with an unknown one (rule-nodes §1.6, §7 row 2). */
  readonly anyKey?: boolean;
  /** Keys that Java reads as something else than false, 0 or null when they are missing. */
  readonly missing?: Record<string, unknown>;
  /** Step i takes a configuration of version i to i+1; may throw (rule-nodes §1.5). Pure. */
  readonly upgrades?: readonly ((config: Record<string, unknown>) => Record<string, unknown>)[];
  readonly needs?: readonly N[];
  /** Refused at save, 400 `'<name>' node configuration is invalid: …` (rule-nodes §7 row 2). Gives the text after the colon, or null. */
  refuse?(config: Record<string, unknown>): string | null;
  /** Makes the node's state. Throwing makes the node unusable with this reason; messages that reach it fail. */
  start?(context: StartContext<Static<S>>): State | Promise<State>;
  stop?(state: State): void;
  process?(message: Message, context: NodeContext<Static<S>, State, N>): Outcome | Promise<Outcome>;
  processBatch?(
    messages: readonly Message[],
    context: NodeContext<Static<S>, State, N>,
  ): readonly (Outcome | Error)[] | Promise<readonly (Outcome | Error)[]>;
  /** A timer of `kept.remind` is due; `timer` has its originator. What it emits becomes new messages behind the node, with the stack that each has. */
  due?(key: string, timer: Message, context: NodeContext<Static<S>, State, N>): readonly Emission[] | Promise<readonly Emission[]>;
  /**
   * External nodes have this instead of `process`: the message waits in the outbox, beside its lane, and goes on when this has answered. It may run again after a
   * crash. An error of our own with retry `later` or `reconnect`, or an emission with `away`, and an unconnected `Failure`: the messages for the target wait and are
   * tried again with growing pauses. Where `Failure` is connected, and for any other error, it leaves by `Failure`; what is thrown is in metadata `error` then.
   */
  send?(message: Message, context: SendContext<Static<S>, State>): Promise<string | Emission>;
  /** Names what a message is sent to: one that is away holds back only its own. Default: one target a node. */
  target?(message: Message, config: Static<S>): string;
  /** Sends of one node at a time; one originator's go one by one. Default 64. */
  parallel?(config: Static<S>): number;
  /** Default 60,000; then `Failure`. */
  sendTimeoutMs?(config: Static<S>): number;
  /** The result is a new message (new id), as of nodes that acknowledge early. */
  acknowledges?(config: Static<S>): boolean;
  /** What `send` would hand to its target, for dry runs: `{url, method, body}`, `{topic, payload}`. Pure. */
  preview?(message: Message, config: Static<S>): Record<string, unknown>;
}

/** Gives the definition its types. `process` for one message, or `processBatch` when the work crosses a boundary (script, store, broker). */
export const defineNode = <S extends TSchema, State = undefined, N extends ServiceName = never>(
  definition: NodeDefinition<S, State, N>,
): NodeDefinition<S, State, N> => definition;

/** A definition whose types no longer matter, as registries and the runner hold it. */
// biome-ignore lint/suspicious/noExplicitAny: variance: a list of nodes of different configurations
export type AnyNode = NodeDefinition<any, any, any>;
