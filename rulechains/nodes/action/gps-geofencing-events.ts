import { Type } from 'typebox';
import { parseJson } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import { defineNode, type NodeInfo } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Services } from '#engine/services.ts';
import { nullable } from '../../shared/fields.ts';
import { inOrder } from '../../shared/in-order.ts';
import { isInside, PERIMETER_DEFAULTS, perimeterFields } from '../../shared/perimeter.ts';

const UNIT_MS: Readonly<Record<string, number>> = {
  NANOSECONDS: 1e-6,
  MICROSECONDS: 1e-3,
  MILLISECONDS: 1,
  SECONDS: 1000,
  MINUTES: 60_000,
  HOURS: 3_600_000,
  DAYS: 86_400_000,
};

const duration = (where: string) => Type.Integer({ title: `Shortest stay ${where}`, description: `A longer one is told by ${where}.` });
const unit = (where: string) =>
  nullable(Type.String(), { title: `Unit of the stay ${where}`, description: 'SECONDS, MINUTES, HOURS or DAYS.', examples: Object.keys(UNIT_MS) });

/** What is known of an originator. */
interface Presence {
  readonly inside: boolean;
  /** Unix ms; 0: never seen. */
  readonly stateSwitchTime: number;
  /** Its long stay was told. */
  readonly stayed: boolean;
}

/** By the clock of the server, not by the time of the messages. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.geo.TbGpsGeofencingActionNode',
  version: 1,
  family: 'ACTION',
  label: 'gps geofencing events',
  summary: 'Tells when the originator enters, leaves, or stays inside or outside of a perimeter.',
  relations: ['Success', 'Entered', 'Left', 'Inside', 'Outside'],
  config: Config({
    ...perimeterFields,
    minInsideDuration: duration('Inside'),
    minInsideDurationTimeUnit: unit('Inside'),
    minOutsideDuration: duration('Outside'),
    minOutsideDurationTimeUnit: unit('Outside'),
    reportPresenceStatusOnEachMessage: Type.Boolean({
      title: 'Tell it each time',
      description: 'Inside or Outside on each message that changes nothing. Off: once, after the shortest stay, and Success otherwise.',
    }),
  }),
  defaults: {
    ...PERIMETER_DEFAULTS,
    minInsideDuration: 1,
    minInsideDurationTimeUnit: 'MINUTES',
    minOutsideDuration: 1,
    minOutsideDurationTimeUnit: 'MINUTES',
    reportPresenceStatusOnEachMessage: true,
  },
  upgrades: [(config) => ('reportPresenceStatusOnEachMessage' in config ? config : { ...config, reportPresenceStatusOnEachMessage: false })],
  needs: ['attributes', 'memory', 'messages'],
  processBatch: (messages, { config, node, attributes, memory, messages: { now } }) =>
    inOrder(messages, async (message) => {
      const inside = isInside(message, config);
      const { originator } = message;
      const presence = await presenceOf(originator, node, { attributes, memory });
      const at = now();
      if (presence.stateSwitchTime === 0 || presence.inside !== inside) {
        remember({ inside, stateSwitchTime: at, stayed: false }, originator, node, at, { attributes, memory });
        return inside ? 'Entered' : 'Left';
      }
      const still = inside ? 'Inside' : 'Outside';
      if (config.reportPresenceStatusOnEachMessage) return still;
      if (presence.stayed) return 'Success';
      const [least, name] = inside
        ? [config.minInsideDuration, config.minInsideDurationTimeUnit]
        : [config.minOutsideDuration, config.minOutsideDurationTimeUnit];
      const unitMs = UNIT_MS[name ?? ''];
      if (unitMs === undefined) throw new Error(`Unknown time unit: ${name}`);
      if (at - presence.stateSwitchTime <= least * unitMs) return 'Success';
      remember({ ...presence, stayed: true }, originator, node, at, { attributes, memory });
      return still;
    }),
});

type Memory = Pick<Services, 'attributes' | 'memory'>;

/** Of this node; else what the attribute tells, as the original keeps it: one for all nodes of a server. */
async function presenceOf(originator: EntityRef, node: NodeInfo, { attributes, memory }: Memory): Promise<Presence> {
  const known = (await memory.get(node.id, originator.id)) as Presence | null;
  if (known) return known;
  const [attribute] = await attributes.find(originator, 'SERVER_SCOPE', [node.serviceId]);
  const stored = attribute ? readPresence(String(attribute.value.value)) : null;
  return stored ?? { inside: false, stateSwitchTime: 0, stayed: false };
}

function readPresence(text: string): Presence | null {
  try {
    const { inside, stateSwitchTime, stayed } = { ...(parseJson(text) as object) } as Record<string, unknown>;
    return typeof inside === 'boolean' && typeof stateSwitchTime === 'number' ? { inside, stateSwitchTime, stayed: stayed === true } : null;
  } catch {
    // Somebody else's attribute of this name.
    return null;
  }
}

function remember(presence: Presence, originator: EntityRef, node: NodeInfo, at: number, { attributes, memory }: Memory): void {
  memory.set(node.id, originator.id, presence);
  const { inside, stateSwitchTime, stayed } = presence;
  attributes.save(originator, 'SERVER_SCOPE', [[node.serviceId, { type: 'STRING', value: JSON.stringify({ inside, stateSwitchTime, stayed }) }]], at);
}
