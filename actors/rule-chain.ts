import { assign, fromPromise, setup } from 'xstate';
import type { CompiledChain } from '#engine/walk/chain.ts';

export interface ChainInput {
  /** Compiles and starts the newest saved revision; nodes of `previous` that did not change go on with their state. Null: the chain is gone or empty. */
  readonly load: (previous: CompiledChain | null) => Promise<CompiledChain | null>;
  readonly stop: (chain: CompiledChain) => void;
  readonly now: () => number;
}

export interface ChainContext extends ChainInput {
  /** What messages run through; the old one until a reload is ready. */
  readonly chain: CompiledChain | null;
  /** Why the last load failed; the chain that was there goes on. */
  readonly reason: string | null;
  readonly since: number;
  /** Saved again while a load was under way. */
  readonly stale: boolean;
}

export type ChainEvent = { type: 'SAVED' } | { type: 'REMOVED' };

const RETRY_MS = 1000;

/** Life of one rule chain: loading, running, failed (as a whole; single nodes fail by themselves), removed. A save during a load loads again. */
export const chainMachine = setup({
  types: { context: {} as ChainContext, events: {} as ChainEvent, input: {} as ChainInput },
  actors: {
    load: fromPromise<CompiledChain | null, { load: ChainInput['load']; previous: CompiledChain | null }>(({ input }) => input.load(input.previous)),
  },
  delays: { retry: RETRY_MS },
  actions: {
    take: assign(({ context, event }) => ({
      chain: (event as unknown as { output: CompiledChain | null }).output,
      reason: null,
      since: context.now(),
    })),
    stopChain: ({ context }) => {
      if (context.chain) context.stop(context.chain);
    },
  },
}).createMachine({
  id: 'rule-chain',
  context: ({ input }) => ({ ...input, chain: null, reason: null, since: input.now(), stale: false }),
  initial: 'loading',
  on: { REMOVED: '.removed' },
  states: {
    loading: {
      entry: assign({ stale: false }),
      invoke: {
        src: 'load',
        input: ({ context }) => ({ load: context.load, previous: context.chain }),
        onDone: [
          // Saved again meanwhile. The load is not cut short: the nodes that it started must be known, to be stopped or taken over.
          { guard: ({ context }) => context.stale, target: 'loading', reenter: true, actions: 'take' },
          { target: 'running', actions: 'take' },
        ],
        onError: [
          { guard: ({ context }) => context.stale, target: 'loading', reenter: true },
          {
            target: 'failed',
            actions: assign({
              reason: ({ event }) => (event.error instanceof Error ? event.error.message : String(event.error)),
              since: ({ context }) => context.now(),
            }),
          },
        ],
      },
      on: { SAVED: { actions: assign({ stale: true }) } },
    },
    running: { on: { SAVED: 'loading' } },
    // Nodes fail by themselves; the whole fails when it can not be read, which passes.
    failed: { after: { retry: 'loading' }, on: { SAVED: 'loading' } },
    removed: { type: 'final', entry: ['stopChain', assign({ chain: null })] },
  },
});
