import { assign, createActor, fromCallback, setup } from 'xstate';

/** A lane is worked by this process until `stop` is asked for; resolves when its last batch is done. Rejects: a bug, the lane is started again. */
export type WorkLane = (lane: number, signal: AbortSignal) => Promise<void>;

export interface SystemInput {
  readonly lanes: readonly number[];
  readonly work: WorkLane;
  readonly log: { error(fields: object, text: string): void };
}

interface SystemContext extends SystemInput {
  readonly running: ReadonlySet<number>;
}

type SystemEvent = { type: 'STOP' } | { type: 'LANE_ENDED'; lane: number };

const RESTART_MS = 1000;

/** Supervision: the lanes that this process owns, each worked by one child that is started again when it breaks. */
const systemMachine = setup({
  types: { context: {} as SystemContext, events: {} as SystemEvent, input: {} as SystemInput },
  actors: {
    lane: fromCallback<{ type: 'STOP' }, { lane: number; work: WorkLane; log: SystemInput['log'] }>(({ input, sendBack, receive }) => {
      const abort = new AbortController();
      receive((event) => {
        if (event.type === 'STOP') abort.abort();
      });
      const loop = async () => {
        while (!abort.signal.aborted) {
          try {
            await input.work(input.lane, abort.signal);
          } catch (cause) {
            input.log.error({ err: cause, lane: input.lane }, 'lane broke; started again');
            await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
          }
        }
        sendBack({ type: 'LANE_ENDED', lane: input.lane });
      };
      loop();
    }),
  },
  guards: { lastLane: ({ context, event }) => event.type === 'LANE_ENDED' && context.running.size === 1 && context.running.has(event.lane) },
}).createMachine({
  id: 'system',
  context: ({ input, spawn }) => {
    for (const lane of input.lanes) spawn('lane', { id: `lane-${lane}`, input: { lane, work: input.work, log: input.log } });
    return { ...input, running: new Set(input.lanes) };
  },
  initial: 'running',
  states: {
    running: { on: { STOP: { target: 'stopping', actions: ({ context, self }) => stopLanes(context, self.getSnapshot().children) } } },
    stopping: {
      on: {
        LANE_ENDED: [
          { guard: 'lastLane', target: 'stopped' },
          { actions: assign({ running: ({ context, event }) => new Set([...context.running].filter((lane) => lane !== event.lane)) }) },
        ],
      },
    },
    stopped: { type: 'final' },
  },
});

function stopLanes(context: SystemContext, children: Record<string, { send(event: { type: 'STOP' }): void } | undefined>): void {
  for (const lane of context.lanes) children[`lane-${lane}`]?.send({ type: 'STOP' });
}

export function startSystem(input: SystemInput): { worked(): boolean; stop(): Promise<void> } {
  const actor = createActor(systemMachine, { input });
  actor.start();
  return {
    worked: () => actor.getSnapshot().value === 'running',
    stop: () =>
      new Promise((resolve) => {
        actor.subscribe({ complete: resolve });
        actor.send({ type: 'STOP' });
      }),
  };
}
