import { assign, createActor, fromCallback, setup } from 'xstate';
import type { Lane } from '#engine/lane.ts';

export interface SystemInput {
  readonly lanes: readonly number[];
  readonly work: (lane: number) => Lane;
}

interface SystemContext extends SystemInput {
  readonly running: ReadonlySet<number>;
}

type SystemEvent = { type: 'STOP' } | { type: 'LANE_ENDED'; lane: number };

/** Supervision: the lanes that this process owns, each worked by one child until the system stops. */
const systemMachine = setup({
  types: { context: {} as SystemContext, events: {} as SystemEvent, input: {} as SystemInput },
  actors: {
    lane: fromCallback<{ type: 'STOP' }, { lane: number; work: SystemInput['work'] }>(({ input, sendBack, receive }) => {
      const lane = input.work(input.lane);
      receive(() => lane.stop().then(() => sendBack({ type: 'LANE_ENDED', lane: input.lane })));
    }),
  },
  guards: { lastLane: ({ context, event }) => event.type === 'LANE_ENDED' && context.running.size === 1 && context.running.has(event.lane) },
}).createMachine({
  id: 'system',
  context: ({ input, spawn }) => {
    for (const lane of input.lanes) spawn('lane', { id: `lane-${lane}`, input: { lane, work: input.work } });
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
