import { Type } from 'typebox';
import { isUuid } from '#engine/id.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { metadataUnder } from '../../shared/reply.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.rest.TbSendRestApiCallReplyNode',
  version: 0,
  family: 'ACTION',
  label: 'rest call reply',
  summary: 'Answers the REST call that the message came from, with the data of the message.',
  relations: ['Success'],
  effect: true,
  config: Config({
    requestIdMetaDataAttribute: nullable(Type.String(), { title: 'Request id under', description: 'Metadata key; blank: requestUUID.' }),
    serviceIdMetaDataAttribute: nullable(Type.String(), { title: 'Service id under', description: 'Metadata key; blank: serviceId.' }),
  }),
  defaults: { requestIdMetaDataAttribute: 'requestUUID', serviceIdMetaDataAttribute: 'serviceId' },
  needs: ['rest'],
  process(message, { config, rest }) {
    const requestUUID = metadataUnder(message, config.requestIdMetaDataAttribute, 'requestUUID', 'Request id');
    metadataUnder(message, config.serviceIdMetaDataAttribute, 'serviceId', 'Service id');
    if (message.data === '') throw new Error('Request body is empty!');
    if (!isUuid(requestUUID)) throw new Error(`Invalid UUID string: ${requestUUID}`);
    rest.reply(requestUUID, message);
    return 'Success';
  },
});
