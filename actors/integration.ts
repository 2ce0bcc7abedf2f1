import { assign, fromPromise, setup } from 'xstate';
import { ConfigError, errorText, Refused } from '#engine/errors.ts';
import type { Connection } from '#engine/integration.ts';

/** What a saved integration asks for. */
export type Plan =
  | { readonly kind: 'disabled'; readonly reason: string }
  /** The configuration can not be used until it is edited. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** Requests come to us; there is nothing to connect. */
  | { readonly kind: 'inbound'; readonly warnings: readonly string[] }
  | { readonly kind: 'connect'; readonly warnings: readonly string[]; readonly connect: Connect };

/** @param lost the connection that this call made is gone; only its first call counts. */
export type Connect = (lost: (cause: unknown) => void, signal: AbortSignal) => Promise<Connection>;

export type LifecycleEvent = 'STARTED' | 'UPDATED' | 'STOPPED' | 'FAILED' | 'ACTIVATED';

export interface IntegrationInput {
  readonly plan: Plan;
  readonly now: () => number;
  /** 0 to 1, for the jitter. */
  readonly random: () => number;
  /** Writes an LC_EVENT. `error` null: it went well. */
  readonly report: (event: LifecycleEvent, error: string | null) => void;
  /** Downlinks flow from now on, until `stop` of what it returns. */
  readonly opened: (connection: Connection) => void;
  readonly closed: () => void;
  /** Put into the warnings when the peer ends connection after connection right after it was made. */
  readonly droppedWarning: string | null;
}

export interface IntegrationContext extends IntegrationInput {
  readonly reason: string | null;
  readonly since: number;
  readonly nextAttemptAt: number | null;
  readonly delayMs: number;
  /** Failed attempts since the connection was last stable. */
  readonly attempts: number;
  /** Since when the peer is away: the last loss, or the start. */
  readonly outageSince: number;
  readonly connection: Connection | null;
  /** The lifecycle event that the next success, or the first failure, gives. */
  readonly announce: LifecycleEvent | null;
  /** Something that a STOPPED would end. */
  readonly started: boolean;
  /** When connections ended right after they were made. */
  readonly drops: readonly number[];
  readonly activeSince: number;
}

export type IntegrationEvent =
  | { type: 'SAVED'; plan: Plan }
  | { type: 'LOST'; cause: unknown }
  /** End of this process, or the integration was deleted. */
  | { type: 'STOP' };

/** The definitions' own time-outs are 10 s (specs: integrations §6.4); this one is for those that hang all the same. */
export const CONNECT_TIMEOUT_MS = 15_000;
export const CLOSE_TIMEOUT_MS = 8000;
export const STABLE_MS = 10_000;
/** Another login, or other rights at the peer, are needed; tried now and then because they may be given there. */
export const REFUSED_RETRY_MS = 300_000;
/** Two of our own that share a client id hold the connection as long as the other one waits, up to ten seconds each. */
const DROP_MS = STABLE_MS;
const DROP_WINDOW_MS = 120_000;
const DROPS = 5;

/**
 * 1 s, doubling to 10 s for the first two minutes, so that a peer that was away for seconds is found again within seconds, then to 60 s.
 * @param random 0 to 1: up to a quarter is taken off, so that many integrations do not come back at one instant.
 */
export function backoffMs(attempts: number, outageMs: number, random: number): number {
  const limit = outageMs < 120_000 ? 10_000 : 60_000;
  return Math.round(Math.min(1000 * 2 ** Math.min(attempts, 16), limit) * (1 - random / 4));
}

/** A connection that may have been lost before the machine has heard of it. */
interface Opened {
  readonly connection: Connection;
  readonly tie: Tie;
}
interface Tie {
  lost: { readonly cause: unknown } | null;
  tell: ((cause: unknown) => void) | null;
}

/** Life of one integration: disabled, connecting, active, backing off, failed; each with its reason and since when. Uplinks cost no transition. */
export const integrationMachine = setup({
  types: { context: {} as IntegrationContext, events: {} as IntegrationEvent, input: {} as IntegrationInput },
  actors: {
    connect: fromPromise<Opened, Plan>(async ({ input, signal }) => {
      if (input.kind !== 'connect') throw new ConfigError('nothing to connect');
      const tie: Tie = { lost: null, tell: null };
      const connection = await input.connect((cause) => {
        if (tie.lost) return;
        tie.lost = { cause };
        tie.tell?.(cause);
      }, signal);
      // Stopped, edited or timed out meanwhile: nobody would ever close it.
      if (signal.aborted) await connection.close();
      return { connection, tie };
    }),
    close: fromPromise<void, Connection | null>(async ({ input }) => {
      await input?.close();
    }),
  },
  delays: {
    backoff: ({ context }) => context.delayMs,
    connectTimeout: CONNECT_TIMEOUT_MS,
    closeTimeout: CLOSE_TIMEOUT_MS,
    stable: STABLE_MS,
    dropWindow: DROP_WINDOW_MS,
  },
  guards: {
    isDisabled: ({ context }) => context.plan.kind === 'disabled',
    isFailed: ({ context }) => context.plan.kind === 'failed',
    isInbound: ({ context }) => context.plan.kind === 'inbound',
  },
  actions: {
    entered: assign({ since: ({ context }) => context.now(), nextAttemptAt: null }),
    setPlan: assign(({ context, event }) =>
      event.type === 'SAVED'
        ? { plan: event.plan, announce: context.started ? ('UPDATED' as const) : ('STARTED' as const), attempts: 0, drops: [] }
        : {},
    ),
    starting: assign({ started: true, outageSince: ({ context }) => context.now() }),
    planReason: assign({ reason: ({ context }) => ('reason' in context.plan ? context.plan.reason : null) }),
    announceSuccess: ({ context }) => {
      if (context.announce) context.report(context.announce, null);
    },
    announceFailure: ({ context }) => {
      if (context.announce === 'STARTED' || context.announce === 'UPDATED') context.report(context.announce, context.reason);
    },
    announced: assign({ announce: null }),
    reportStopped: ({ context }) => {
      if (context.started) context.report('STOPPED', null);
    },
    opened: ({ context }) => {
      if (context.connection) context.opened(context.connection);
    },
    letGo: ({ context }) => context.closed(),
    dropConnection: ({ context }) => {
      context.connection?.close().catch(() => {}); // It is gone already; what there is to say was said by LOST.
    },
    forgetConnection: assign({ connection: null }),
    stable: assign({ attempts: 0 }),
    backOff: assign(({ context }) => {
      const delayMs = backoffMs(context.attempts, context.now() - context.outageSince, context.random());
      return { delayMs, attempts: context.attempts + 1, nextAttemptAt: context.now() + delayMs };
    }),
    backOffSlowly: assign(({ context }) => ({ delayMs: REFUSED_RETRY_MS, nextAttemptAt: context.now() + REFUSED_RETRY_MS })),
  },
}).createMachine({
  id: 'integration',
  context: ({ input }) => ({
    ...input,
    reason: null,
    since: input.now(),
    nextAttemptAt: null,
    delayMs: 0,
    attempts: 0,
    outageSince: input.now(),
    connection: null,
    announce: 'STARTED',
    started: false,
    drops: [],
    activeSince: 0,
  }),
  initial: 'planning',
  on: { SAVED: { target: '.planning', actions: 'setPlan' }, STOP: '.stopped' },
  states: {
    planning: {
      always: [
        { guard: 'isDisabled', target: 'disabled' },
        { guard: 'isFailed', target: 'failed', actions: ['starting', 'planReason', 'announceFailure', 'announced'] },
        { guard: 'isInbound', target: 'active', actions: 'starting' },
        { target: 'connecting', actions: 'starting' },
      ],
    },
    disabled: { entry: ['entered', 'planReason', 'reportStopped', assign({ started: false })] },
    failed: { entry: 'entered', on: { STOP: { target: 'stopped', actions: 'reportStopped' } } },
    connecting: {
      entry: ['entered', assign({ reason: null })],
      invoke: {
        src: 'connect',
        input: ({ context }) => context.plan,
        onDone: { target: 'active', actions: assign(({ event, self }) => adopted(event.output, (cause) => self.send({ type: 'LOST', cause }))) },
        onError: [
          {
            guard: ({ event }) => event.error instanceof ConfigError,
            target: 'failed',
            actions: [assign({ reason: ({ event }) => errorText(event.error) }), 'announceFailure', 'announced'],
          },
          {
            guard: ({ event }) => event.error instanceof Refused,
            target: 'backing-off',
            actions: [
              assign({ reason: ({ event }) => errorText(event.error) }),
              'backOffSlowly',
              'announceFailure',
              assign({ announce: 'ACTIVATED' }),
            ],
          },
          {
            target: 'backing-off',
            actions: [assign({ reason: ({ event }) => errorText(event.error) }), 'backOff', 'announceFailure', assign({ announce: 'ACTIVATED' })],
          },
        ],
      },
      after: {
        connectTimeout: {
          target: 'backing-off',
          actions: [
            assign({ reason: `No connection within ${CONNECT_TIMEOUT_MS} ms` }),
            'backOff',
            'announceFailure',
            assign({ announce: 'ACTIVATED' }),
          ],
        },
      },
      on: { STOP: { target: 'stopped', actions: 'reportStopped' } },
    },
    active: {
      entry: ['entered', 'announceSuccess', 'announced', assign({ reason: null, activeSince: ({ context }) => context.now() }), 'opened'],
      exit: 'letGo',
      after: {
        stable: { actions: 'stable' },
        // Long enough to forget that it was dropped.
        dropWindow: { actions: assign({ drops: [] }) },
      },
      on: {
        LOST: {
          target: 'backing-off',
          actions: [
            assign(({ context, event }) => ({
              reason: errorText(event.cause),
              announce: 'ACTIVATED' as const,
              drops: dropsAfter(context),
              outageSince: context.now(),
            })),
            ({ context }) => context.report('FAILED', context.reason),
            'dropConnection',
            'forgetConnection',
            'backOff',
          ],
        },
        SAVED: { target: 'closing', actions: 'setPlan' },
        STOP: { target: 'ending', actions: 'reportStopped' },
      },
    },
    'backing-off': {
      entry: assign({ since: ({ context }) => context.now() }),
      after: { backoff: 'connecting' },
      on: { STOP: { target: 'stopped', actions: 'reportStopped' } },
    },
    /** The old connection ends before the new one begins: both may have the same client id. */
    closing: {
      invoke: { src: 'close', input: ({ context }) => context.connection, onDone: 'closed', onError: 'closed' },
      after: { closeTimeout: 'closed' },
      on: { SAVED: { actions: 'setPlan' }, STOP: { target: 'ending', actions: 'reportStopped' } },
    },
    closed: { entry: 'forgetConnection', always: 'planning' },
    ending: {
      invoke: { src: 'close', input: ({ context }) => context.connection, onDone: 'stopped', onError: 'stopped' },
      after: { closeTimeout: 'stopped' },
      on: { SAVED: {}, STOP: {} },
    },
    stopped: { type: 'final' },
  },
});

function adopted({ connection, tie }: Opened, lost: (cause: unknown) => void): Partial<IntegrationContext> {
  tie.tell = lost;
  if (tie.lost) {
    const { cause } = tie.lost;
    queueMicrotask(() => lost(cause));
  }
  return { connection };
}

function dropsAfter({ drops, activeSince, now }: IntegrationContext): number[] {
  const at = now();
  const recent = drops.filter((drop) => at - drop < DROP_WINDOW_MS);
  return at - activeSince < DROP_MS ? [...recent, at] : recent;
}

export const warningsOf = ({ plan, drops, droppedWarning }: IntegrationContext): string[] => [
  ...('warnings' in plan ? plan.warnings : []),
  ...(droppedWarning !== null && drops.length >= DROPS ? [droppedWarning] : []),
];
