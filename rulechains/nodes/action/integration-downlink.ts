import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { isTrue } from '../../shared/attributes.ts';
import { nullable } from '../../shared/fields.ts';

/** Success means that the downlink is queued for good, not that the device has it. A one-way RPC call is answered with that. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.integration.TbIntegrationDownlinkNode',
  version: 0,
  family: 'ACTION',
  label: 'integration downlink',
  summary: 'Hands the message to the downlink converter of an integration.',
  relations: ['Success'],
  effect: true,
  config: Config({ integrationId: nullable(Type.String(), { title: 'Integration', description: 'Id of the integration that sends it.' }) }),
  defaults: { integrationId: null },
  needs: ['downlinks', 'rpc'],
  start({ config }) {
    if (!config.integrationId) throw new Error('Integration must be set!');
  },
  async process(message, { config, downlinks, rpc }) {
    await downlinks.push(config.integrationId!, message);
    const requestUUID = message.metadata['requestUUID'];
    if (message.type === 'RPC_CALL_FROM_SERVER_TO_DEVICE' && requestUUID && isTrue(message.metadata['oneway'])) {
      rpc.complete(requestUUID, { ok: true, data: null });
    }
    return 'Success';
  },
});
