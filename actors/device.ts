import { assign, setup } from 'xstate';
import type { DeviceEventType } from '#engine/control.ts';

/** Times of one device, Unix ms, 0 = never. Shared with its actor by reference: a message to an active device only writes `lastActivityTime`, no transition. */
export interface DeviceTimes {
  lastConnectTime: number;
  lastActivityTime: number;
  lastDisconnectTime: number;
  lastInactivityAlarmTime: number;
  /** ms of silence after which the device is inactive. */
  inactivityTimeout: number;
}

export interface DeviceInput {
  readonly tenantId: string;
  readonly deviceId: string;
  readonly times: DeviceTimes;
  /** From the stored attribute, when the actor comes back after passivation or a restart. */
  readonly active: boolean;
  /** Writes the state's attributes and puts the event into the device's chain, in one unit of work. */
  readonly report: (event: DeviceEventType, active: boolean) => void;
}

export type DeviceEvent =
  | { type: 'SPOKE'; at: number }
  | { type: 'SILENT'; at: number }
  | { type: 'FOUND_SILENT'; at: number }
  | { type: 'CONNECTED'; at: number }
  | { type: 'DISCONNECTED'; at: number };

/** Life of one device: active while it speaks, inactive after its silence. Machines move on such events only; telemetry costs none. */
export const deviceMachine = setup({
  types: { context: {} as DeviceInput, events: {} as DeviceEvent, input: {} as DeviceInput },
  guards: { wasActive: ({ context }) => context.active },
  actions: {
    spoke: ({ context, event }) => {
      context.times.lastActivityTime = event.at;
      context.report('ACTIVITY_EVENT', true);
    },
    silent: ({ context, event }) => {
      context.times.lastInactivityAlarmTime = event.at;
      context.report('INACTIVITY_EVENT', false);
    },
    connected: ({ context, event }) => {
      context.times.lastConnectTime = event.at;
      context.report('CONNECT_EVENT', context.active);
    },
    disconnected: ({ context, event }) => {
      context.times.lastDisconnectTime = event.at;
      context.report('DISCONNECT_EVENT', context.active);
    },
    setActive: assign({ active: true }),
    setInactive: assign({ active: false }),
  },
}).createMachine({
  id: 'device',
  context: ({ input }) => input,
  initial: 'restoring',
  on: {
    CONNECTED: { actions: 'connected' },
    DISCONNECTED: { actions: 'disconnected' },
    // Not our own clock: somebody says so, also of one that is inactive already.
    FOUND_SILENT: { target: '.inactive', actions: ['setInactive', 'silent'] },
  },
  states: {
    restoring: { always: [{ guard: 'wasActive', target: 'active' }, { target: 'inactive' }] },
    inactive: { on: { SPOKE: { target: 'active', actions: ['setActive', 'spoke'] } } },
    active: { on: { SILENT: { target: 'inactive', actions: ['setInactive', 'silent'] } } },
  },
});
