import { Type } from 'typebox';
import type { DeviceEventType } from '#engine/control.ts';
import { type Message, metadataTs } from '#engine/message.ts';
import { defineNode, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { inOrder } from '../../shared/in-order.ts';
import { MESSAGE_TYPES } from '../../shared/message-types.ts';
import { type RateLimit, rateLimit } from '../../shared/rate-limit.ts';

const EVENTS = ['ACTIVITY_EVENT', 'CONNECT_EVENT', 'DISCONNECT_EVENT', 'INACTIVITY_EVENT'] as const satisfies readonly DeviceEventType[];
/** Of one device, in this node: events a number of seconds. */
const LIMITS = '1:1,30:60,60:3600';

/** The device's own event message comes from the device state, when it changes something there. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.action.TbDeviceStateNode',
  version: 0,
  family: 'ACTION',
  label: 'device state',
  summary: 'Says that the device is active, inactive, connected or disconnected: for devices that do not speak to this server themselves.',
  relations: ['Success', 'Rate limited'],
  effect: true,
  config: Config({
    event: nullable(Type.String(), { title: 'Event', description: 'What the message says of the device, at its time.', examples: EVENTS }),
  }),
  defaults: { event: 'ACTIVITY_EVENT' },
  needs: ['deviceState', 'messages'],
  start({ config: { event } }): { event: DeviceEventType; limit: RateLimit } {
    if (event === null) throw new Error('Event cannot be null!');
    if (!MESSAGE_TYPES.has(event)) throw new Error(`Can't convert value: ${JSON.stringify({ event })}`);
    if (!(EVENTS as readonly string[]).includes(event)) throw new Error(`Unsupported event: ${event}`);
    return { event: event as DeviceEventType, limit: rateLimit(LIMITS) };
  },
  async processBatch(all, { state: { event, limit }, deviceState, messages }) {
    // Many devices in one step: each report waits for the disk. Of one device only one a second is let through.
    const reports = new Map<Message, Promise<Error | null>>();
    const decided = await inOrder(all, async (message): Promise<Outcome> => {
      const { id, entityType } = message.originator;
      if (entityType !== 'DEVICE') throw new Error(`Unsupported originator entity type: [${entityType}]. Only DEVICE entity type is supported.`);
      if (!limit.allows(id, message.id, messages.now())) return { to: 'Rate limited', effect: false };
      const reported = deviceState.report(id, event, metadataTs(message));
      reports.set(
        message,
        reported.then(
          () => null,
          (cause) => (cause instanceof Error ? cause : new Error(String(cause))),
        ),
      );
      return 'Success';
    });
    return Promise.all(decided.map(async (outcome, place) => (await reports.get(all[place]!)) ?? outcome));
  },
});
