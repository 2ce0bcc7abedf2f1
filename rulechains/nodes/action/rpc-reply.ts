import { Type } from 'typebox';
import { isUuid } from '#engine/id.ts';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { nullable } from '../../shared/fields.ts';
import { NO_EDGES } from '../../shared/push.ts';
import { checkInteger, metadataUnder } from '../../shared/reply.ts';

export default defineNode({
  type: 'org.thingsboard.rule.engine.rpc.TbSendRPCReplyNode',
  version: 0,
  family: 'ACTION',
  label: 'rpc call reply',
  summary: 'Answers a request that the device made, with the data of the message.',
  relations: ['Success'],
  effect: true,
  config: Config({
    serviceIdMetaDataAttribute: nullable(Type.String(), { title: 'Service id under', description: 'Metadata key; blank: serviceId.' }),
    sessionIdMetaDataAttribute: nullable(Type.String(), { title: 'Session id under', description: 'Metadata key; blank: sessionId.' }),
    requestIdMetaDataAttribute: nullable(Type.String(), { title: 'Request id under', description: 'Metadata key; blank: requestId.' }),
  }),
  defaults: { serviceIdMetaDataAttribute: 'serviceId', sessionIdMetaDataAttribute: 'sessionId', requestIdMetaDataAttribute: 'requestId' },
  needs: ['rpc'],
  process(message, { config, rpc }) {
    if (message.originator.entityType !== 'DEVICE') throw new Error('Message originator is not a device entity!');
    const requestId = metadataUnder(message, config.requestIdMetaDataAttribute, 'requestId', 'Request id');
    metadataUnder(message, config.serviceIdMetaDataAttribute, 'serviceId', 'Service id');
    const sessionId = metadataUnder(message, config.sessionIdMetaDataAttribute, 'sessionId', 'Session id');
    if (message.data === '') throw new Error('Request body is empty!');
    // The request came through an edge, and its answer would have to go there.
    if (message.metadata['edgeId']?.trim()) throw new Error(NO_EDGES);
    if (!isUuid(sessionId)) throw new Error(`Invalid UUID string: ${sessionId}`);
    checkInteger(requestId);
    rpc.reply(sessionId, requestId, message.data);
    return 'Success';
  },
});
