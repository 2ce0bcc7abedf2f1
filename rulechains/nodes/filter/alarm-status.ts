import { Type } from 'typebox';
import { isUuid } from '#engine/id.ts';
import { firstJson, isJsonObject } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { alarmStatus } from '#engine/services/alarms.ts';
import { alarmBody } from '../../shared/alarm-body.ts';
import { nullable } from '../../shared/fields.ts';

/** What counts is the status that is stored now, not the one that the message tells. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbCheckAlarmStatusNode',
  version: 0,
  family: 'FILTER',
  label: 'alarm status filter',
  summary: 'True when the alarm in the message data has one of the statuses.',
  relations: ['True', 'False'],
  config: Config({
    alarmStatusList: nullable(Type.Array(Type.Union([Type.Enum(['ACTIVE_UNACK', 'ACTIVE_ACK', 'CLEARED_UNACK', 'CLEARED_ACK']), Type.Null()])), {
      title: 'Statuses',
      description: 'Statuses that are True.',
    }),
  }),
  defaults: { alarmStatusList: ['ACTIVE_ACK', 'ACTIVE_UNACK'] },
  needs: ['alarms'],
  async process(message, { config: { alarmStatusList }, alarms }) {
    const alarm = await alarms.byId(alarmIdIn(message));
    if (!alarm) throw new Error('No such alarm found.');
    if (alarmStatusList === null) throw new Error('Alarm statuses are not set!');
    return alarmStatusList.some((status) => status === alarmStatus(alarm)) ? 'True' : 'False';
  },
});

/** @throws Error when the data is no alarm. */
function alarmIdIn(message: Message): string {
  const data = firstJson(message);
  if (data === null) throw new Error('alarm is null');
  // What else the alarm says does not count, but it must be one.
  alarmBody(message);
  const id = isJsonObject(data) ? (data['id'] ?? null) : undefined;
  if (id === null) throw new Error('Incorrect alarmId null');
  const uuid = isJsonObject(id) && id['entityType'] === 'ALARM' ? id['id'] : undefined;
  if (typeof uuid !== 'string' || !isUuid(uuid))
    throw new Error(`The given string value cannot be transformed to Json object: ${message.data.slice(0, 1000)}`);
  return uuid.toLowerCase();
}
