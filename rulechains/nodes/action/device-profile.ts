import { Type } from 'typebox';
import { isPassing } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import { defineNode, type Emission, type Outcome } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { judge, openDevice, openDevices, withoutRules } from '../../shared/alarm-rules/batch.ts';
import { DeviceRules } from '../../shared/alarm-rules/device.ts';
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
    const devices = await openDevices(messages, context);
    const judging: Message[] = [];
    const plain = messages.map((message) => {
      const outcome = withoutRules(message, devices.get(message.originator.id), context);
      if (outcome === null) judging.push(message);
      return outcome;
    });
    const judged = await inOrderByOriginator(judging, (message) => judge(message, devices.get(message.originator.id) as DeviceRules));
    // Nothing of the batch may stay when it will be tried again.
    const passing = judged.find((outcome) => outcome instanceof Error && isPassing(outcome));
    if (passing) throw passing;
    for (const device of devices.values()) if (device instanceof DeviceRules) await device.close();
    return plain.map((outcome) => outcome ?? judged.shift()!);
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
