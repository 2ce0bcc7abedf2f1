import { type ActorRefFrom, assign, createActor, fromCallback, setup, stopChild, waitFor } from 'xstate';
import type { Cluster, Holder, Lease } from '#engine/cluster.ts';
import { laneOf } from '#engine/queue.ts';
import type { Lane } from '#engine/walk/lane.ts';

/** Who has something to do with each lane of this process, besides working it. */
export interface LaneFollower {
  granted(lane: number): void;
  /** The lane is not worked any more. Resolves when nothing more is written on behalf of it; only then another process gets it. */
  revoked(lane: number): Promise<void>;
}

export interface SystemInput {
  readonly cluster: Pick<Cluster, 'hold'>;
  /** Of the whole queue, wherever they are worked. */
  readonly lanes: number;
}

export interface SystemWork {
  readonly work: (lane: number) => Lane;
  readonly followers?: readonly LaneFollower[];
}

export interface System {
  /** The right to act for an originator: its lane is worked in this process. Null: it is not. */
  leaseOf(originatorId: string): Lease | null;
  /** Takes this process' share of the lanes from now on. */
  start(work: SystemWork): void;
  worked(): boolean;
  /** Resolves when the batches under way are finished. */
  stop(): Promise<void>;
}

interface SystemContext {
  readonly work: (lane: number) => Lane;
  /** Lanes that are worked, those that end included. */
  readonly running: ReadonlySet<number>;
}

type SystemEvent = { type: 'GRANTED'; lane: number } | { type: 'REVOKED'; lane: number } | { type: 'STOP' } | { type: 'LANE_ENDED'; lane: number };

const child = (lane: number): string => `lane-${lane}`;

/** Supervision: the lanes that this process has, each worked by one child until it goes to another process or the system stops. */
const systemMachine = setup({
  types: { context: {} as SystemContext, events: {} as SystemEvent, input: {} as { work: SystemContext['work'] } },
  actors: {
    lane: fromCallback<{ type: 'STOP' }, { lane: number; work: SystemContext['work'] }>(({ input, sendBack, receive }) => {
      const lane = input.work(input.lane);
      receive(() => lane.stop().then(() => sendBack({ type: 'LANE_ENDED', lane: input.lane })));
    }),
  },
  guards: { none: ({ context }) => context.running.size === 0 },
}).createMachine({
  id: 'system',
  context: ({ input }) => ({ ...input, running: new Set<number>() }),
  initial: 'running',
  on: {
    LANE_ENDED: {
      actions: [
        stopChild(({ event }) => child(event.lane)),
        assign({ running: ({ context, event }) => new Set([...context.running].filter((lane) => lane !== event.lane)) }),
      ],
    },
  },
  states: {
    running: {
      on: {
        GRANTED: {
          actions: assign(({ context, event, spawn }) => {
            spawn('lane', { id: child(event.lane), input: { lane: event.lane, work: context.work } });
            return { running: new Set([...context.running, event.lane]) };
          }),
        },
        REVOKED: { actions: ({ event, self }) => self.getSnapshot().children[child(event.lane)]?.send({ type: 'STOP' }) },
        STOP: {
          target: 'stopping',
          actions: ({ context, self }) => {
            for (const lane of context.running) self.getSnapshot().children[child(lane)]?.send({ type: 'STOP' });
          },
        },
      },
    },
    stopping: { always: { guard: 'none', target: 'stopped' } },
    stopped: { type: 'final' },
  },
});

export function createSystem({ cluster, lanes }: SystemInput): System {
  /** Of the lanes that are worked, and of those that end. */
  const leases = new Map<number, Lease>();
  const ending = new Map<number, Promise<void>>();
  /** Came back to this process while the lane was still ending. */
  const next = new Map<number, Lease>();
  let actor: ActorRefFrom<typeof systemMachine> | null = null;
  const isRunning = () => actor?.getSnapshot().value === 'running';

  function hold(machine: ActorRefFrom<typeof systemMachine>, followers: readonly LaneFollower[]): Holder {
    const names = Array.from({ length: lanes }, (_, lane) => String(lane));

    function begin(lane: number, lease: Lease): void {
      if (!isRunning()) return;
      leases.set(lane, lease);
      machine.send({ type: 'GRANTED', lane });
      for (const follower of followers) follower.granted(lane);
    }

    async function end(lane: number): Promise<void> {
      machine.send({ type: 'REVOKED', lane });
      await waitFor(machine, ({ context }) => !context.running.has(lane));
      await Promise.all(followers.map((follower) => follower.revoked(lane)));
      leases.delete(lane);
      ending.delete(lane);
      const lease = next.get(lane);
      next.delete(lane);
      if (lease) begin(lane, lease);
    }

    return {
      names: () => names,
      granted(name, lease) {
        const lane = Number(name);
        if (ending.has(lane)) next.set(lane, lease);
        else begin(lane, lease);
      },
      revoked(name) {
        const lane = Number(name);
        next.delete(lane);
        if (!leases.has(lane)) return Promise.resolve();
        const ends = ending.get(lane) ?? end(lane);
        ending.set(lane, ends);
        return ends;
      },
    };
  }

  return {
    leaseOf: (originatorId) => leases.get(laneOf(originatorId, lanes)) ?? null,
    start({ work, followers = [] }) {
      actor = createActor(systemMachine, { input: { work } });
      actor.start();
      cluster.hold('lane', hold(actor, followers));
    },
    worked: isRunning,
    async stop() {
      if (!actor) return;
      actor.send({ type: 'STOP' });
      await waitFor(actor, ({ status }) => status === 'done');
    },
  };
}
