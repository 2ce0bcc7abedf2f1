import { type Static, Type } from 'typebox';
import { isPassing } from '#engine/errors.ts';
import type { EntityRef, Message } from '#engine/message.ts';
import { defineNode, type Emission, type NodeContext, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { DeviceRules, ruleError } from '../../shared/alarm-rules/device.ts';
import { rulesOf } from '../../shared/alarm-rules/profile.ts';
import { updateOf } from '../../shared/alarm-rules/update.ts';
import { inOrderByOriginator } from '../../shared/in-order.ts';

const DeviceProfile = Config({
  persistAlarmRulesState: Type.Boolean({
    title: 'Persist state of alarm rules',
    description: 'What rules have counted goes on when the profile is saved anew. It is on disk in any case.',
  }),
  fetchAlarmRulesStateOnStart: Type.Boolean({
    title: 'Fetch state of alarm rules',
    description: 'Kept for the way back: durations go on after a start in any case.',
  }),
});
type Context = NodeContext<Static<typeof DeviceProfile>, unknown, 'alarms' | 'entities' | 'kept' | 'memory' | 'messages' | 'snapshot'>;

/**
 * Deprecated in the original, and the first node of the root chains that it made from 3.2 to 4.3. What rules have counted is durable in any case, and a duration that
 * runs is watched by a durable timer: a restart changes nothing.
 */
export default defineNode({
  type: 'org.thingsboard.rule.engine.profile.TbDeviceProfileNode',
  version: 1,
  family: 'ACTION',
  label: 'device profile (deprecated)',
  summary: 'Raises and clears alarms by the alarm rules of device profiles.',
  relations: ['Alarm Created', 'Alarm Updated', 'Alarm Severity Updated', 'Alarm Cleared', 'Success'],
  customRelations: true,
  anyKey: true,
  config: DeviceProfile,
  defaults: { persistAlarmRulesState: false, fetchAlarmRulesStateOnStart: false },
  upgrades: [(config) => (config['persistAlarmRulesState'] === true ? config : { ...config, fetchAlarmRulesStateOnStart: false })],
  needs: ['alarms', 'entities', 'kept', 'memory', 'messages', 'snapshot'],
  async processBatch(messages, context): Promise<(Outcome | Error)[]> {
    const devices = new Map<string, DeviceRules | null>();
    const outcomes = await inOrderByOriginator(messages, async (message): Promise<Outcome> => {
      const { originator, type } = message;
      if (originator.entityType !== 'DEVICE') return 'Success';
      if (type === 'ENTITY_DELETED') {
        devices.delete(originator.id);
        context.memory.set(context.node.id, originator.id, null);
        return 'Success';
      }
      const known = devices.get(originator.id);
      const device = known === undefined ? await openDevice(originator, context) : known;
      devices.set(originator.id, device);
      return device ? judged(message, device) : [];
    });
    // Nothing of the batch may stay when it will be tried again.
    const passing = outcomes.find((outcome) => outcome instanceof Error && isPassing(outcome));
    if (passing) throw passing;
    for (const device of devices.values()) await device?.close();
    return outcomes;
  },
  async due(key, { originator }, context): Promise<Emission[]> {
    const device = await openDevice(originator, context);
    if (!device) {
      context.memory.set(context.node.id, originator.id, null);
      return [];
    }
    const emissions = await device.tick(key);
    await device.close();
    return emissions;
  },
});

async function judged(message: Message, device: DeviceRules): Promise<Outcome> {
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

/** null: the device is gone, or its profile is. @throws ConfigError when the profile holds what is no rule */
async function openDevice(ref: EntityRef, { config, node, ...services }: Context): Promise<DeviceRules | null> {
  const device = await services.entities.find(ref);
  const profileId = (device?.body['deviceProfileId'] as { id?: unknown } | null | undefined)?.id;
  if (!device || typeof profileId !== 'string') return null;
  const profile = await services.entities.find({ entityType: 'DEVICE_PROFILE', id: profileId });
  return profile && new DeviceRules(device, rulesOf(profile), node, services, config.persistAlarmRulesState);
}
