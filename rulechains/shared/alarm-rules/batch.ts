import { isPassing } from '#engine/errors.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import type { Emission, NodeContext, Outcome } from '#engine/node.ts';
import { DeviceRules, ruleError } from './device.ts';
import { rulesOf } from './profile.ts';
import { updateOf } from './update.ts';

/** The devices of a batch and their messages. */

type Needs = 'alarms' | 'entities' | 'kept' | 'memory' | 'messages' | 'snapshot';
type Context = NodeContext<{ readonly persistAlarmRulesState: boolean }, unknown, Needs>;
/** null: there is no such device. */
type Opened = DeviceRules | Error | null;

/** null: there are rules to ask. Data that is wrong fails in any case, as in the original. */
export function withoutRules(message: Message, device: Opened | undefined, { node, memory }: Context): Outcome | Error | null {
  if (message.originator.entityType !== 'DEVICE') return 'Success';
  if (message.type === 'ENTITY_DELETED') {
    memory.set(node.id, message.originator.id, null);
    return 'Success';
  }
  if (!device || device instanceof Error) return device ?? [];
  if (device.hasRules) return null;
  try {
    updateOf(message);
    return 'Success';
  } catch (cause) {
    return cause as Error;
  }
}

export async function judge(message: Message, device: DeviceRules): Promise<Outcome> {
  const update = updateOf(message);
  const alarms: Emission[] = [];
  try {
    await device.process(message, update, alarms);
  } catch (cause) {
    const error = ruleError(message.originator.id, cause);
    if (alarms.length === 0) throw error;
    return [{ to: 'Failure', error: error.message }, ...alarms];
  }
  return alarms.length === 0 ? 'Success' : [{ to: 'Success' }, ...alarms];
}

/** By id; an error is the outcome of every message of the device. */
export async function openDevices(messages: readonly Message[], context: Context): Promise<ReadonlyMap<string, Opened>> {
  const devices = new Map<string, Opened>();
  const deleted = new Set(messages.filter(({ type }) => type === 'ENTITY_DELETED').map(({ originator }) => originator.id));
  const refs = new Map(messages.map(({ originator }) => [originator.id, originator]));
  await Promise.all(
    [...refs.values()].map(async (ref) => {
      if (ref.entityType !== 'DEVICE' || deleted.has(ref.id)) return;
      const opened = await openDevice(ref, context).catch((cause: Error) => {
        if (isPassing(cause)) throw cause;
        return cause;
      });
      devices.set(ref.id, opened);
    }),
  );
  return devices;
}

/** null: the device is gone, or its profile is. @throws ConfigError when the profile holds what is no rule */
export async function openDevice(ref: EntityRef, { config, node, ...services }: Context): Promise<DeviceRules | null> {
  const device = await services.entities.find(ref);
  const profileId = (device?.body['deviceProfileId'] as { id?: unknown } | null | undefined)?.id;
  if (!device || typeof profileId !== 'string') return null;
  const profile = await services.entities.find({ entityType: 'DEVICE_PROFILE', id: profileId });
  return profile && new DeviceRules(device, rulesOf(profile), node, services, config.persistAlarmRulesState);
}
