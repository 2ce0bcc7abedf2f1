import type { Trace } from '#engine/capture/trace.ts';
import type { Message } from '#engine/message.ts';
import type { Batch } from '#engine/queue.ts';
import type { BatchServices } from '#engine/services/batch.ts';
import type { Limits } from '#engine/services/limits.ts';
import type { Kept } from '#engine/store.ts';
import { Work } from '#engine/work.ts';
import type { CompiledChain, CompiledNode } from './chain.ts';
import { DebugBudget } from './debug.ts';
import type { QueuePolicy } from './policy.ts';
import { Walk } from './walk.ts';

export interface ChainLookup {
  get(tenantId: string, chainId: string): CompiledChain | undefined;
  root(tenantId: string): CompiledChain | undefined;
  /** Where a message without a position enters: the default chain of its originator's profile, else the root chain. Undefined: the tenant has none. */
  entry(message: Message): Promise<CompiledChain | undefined> | CompiledChain | undefined;
}

export interface RunnerDeps {
  readonly chains: ChainLookup;
  /** Services over one unit of work. */
  services(work: Work, hooks: BatchHooks): BatchServices;
  /** Of the queue that a message is in. Default: what fails becomes a dead letter at once. */
  policy?(message: Message): QueuePolicy | Promise<QueuePolicy>;
  /** A node that gives no answer for so long has failed. Default 60,000. */
  readonly nodeTimeoutMs?: number;
  /** Messages at external nodes, durable by now: for the outbox. */
  toSend?(kept: readonly Kept[]): void;
  /** Counts and remembers what a walk does. */
  trace?(work: Work): Trace;
  created?(of: Message, message: Message, node: CompiledNode): void;
  /** A late answer is under way. Never rejects. */
  late?(answered: Promise<void>): void;
  /** Number of lanes of the queue. */
  readonly lanes: number;
  readonly limits: Pick<Limits, 'of'>;
  /** For what happens beside the lane: late answers. */
  commit(work: Work): Promise<void>;
  newId(): string;
  now(): number;
  /** Of one tenant. Default 50,000. */
  readonly debugEventsPerHour?: number;
  /** Id of this process in events. */
  readonly server: string;
  readonly log: { error(details: object, text: string): void; warn(details: object, text: string): void };
}

/** What the services tell the walk. */
export interface BatchHooks {
  /** A node put a new message into the lanes. */
  enqueued(message: Message): void;
  /** Runs after the commit, unless the walk takes it back. */
  afterCommit(callback: () => void): void;
}

export interface Runner {
  /**
   * Walks a batch through its chains. Everything that follows from it is in the unit of work, which is done when that is committed; nothing happened before.
   * @throws what the store could not answer (AppError with retry), or a bug; the batch is then as if it was never run.
   */
  run(batch: Batch): Promise<Work>;
}

export function createRunner(deps: RunnerDeps): Runner {
  const debugBudget = new DebugBudget(deps.debugEventsPerHour ?? 50_000);
  return {
    async run(batch) {
      const limits = new Map<string, number>();
      for (const { tenantId } of batch.messages) {
        if (limits.has(tenantId)) continue;
        const limit = deps.limits.of(tenantId);
        limits.set(tenantId, (limit instanceof Promise ? await limit : limit).maxExecutions);
      }
      const work = new Work();
      await new Walk(batch, work, limits, debugBudget, deps).run();
      work.done.push(batch);
      return work;
    },
  };
}
