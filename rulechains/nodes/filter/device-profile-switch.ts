import { defineNode } from '#engine/node.ts';
import { NO_CONFIG } from '../../shared/fields.ts';
import { profileName } from '../../shared/profile-switch.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.filter.TbDeviceTypeSwitchNode',
  version: 0,
  family: 'FILTER',
  label: 'device profile switch',
  summary: 'Sends the message to the relation named after the device profile of its originator.',
  relations: ['default'],
  customRelations: true,
  ...NO_CONFIG,
  needs: ['entities'],
  process: (message, { entities }) => profileName(message, 'DEVICE', entities),
});
