import { Type } from 'typebox';
import { isUuid } from '#engine/id.ts';
import { Double, isJsonObject, type Json, type JsonObject, json, plainText } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';
import { defineNode, type Emission } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { RpcAnswer, RpcRequest } from '#engine/services.ts';
import { isTrue } from '../../shared/attributes.ts';
import { checkInteger } from '../../shared/reply.ts';

/** The message is acknowledged when the request is handed over; the answer is a new message. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.rpc.TbSendRPCRequestNode',
  version: 0,
  family: 'ACTION',
  label: 'rpc call request',
  summary: 'Sends a request to the device and goes on with its answer.',
  relations: ['Success'],
  effect: true,
  config: Config({
    timeoutInSeconds: Type.Integer({ title: 'Timeout', description: 'Unless metadata has expirationTime.', unit: 's' }),
  }),
  defaults: { timeoutInSeconds: 60 },
  needs: ['rpc', 'messages'],
  process(message, { config, rpc, messages }) {
    const request = toRequest(message, config.timeoutInSeconds * 1000, messages);
    return {
      later: async () => {
        const answer = await rpc.call(request);
        // Without a session a downlink may still take it: the caller goes on waiting.
        const isAnswered = answer.ok || answer.error !== 'NO_ACTIVE_CONNECTION';
        if (message.type === 'RPC_CALL_FROM_SERVER_TO_DEVICE' && isAnswered) rpc.complete(request.requestUUID, answer);
        return [toEmission(message, answer)];
      },
    };
  },
});

function toRequest(message: Message, timeoutMs: number, { newId, now }: { newId(): string; now(): number }): RpcRequest {
  const { originator, metadata } = message;
  const body = json(message);
  if (!isJsonObject(body)) throw new Error('Message body is not an object!');
  if (originator.entityType !== 'DEVICE') throw new Error('Message originator is not a device entity!');
  if (!('method' in body)) throw new Error('Method is not present in the message!');
  if (!('params' in body)) throw new Error('Params are not present in the message!');
  const requestUUID = metadata['requestUUID'] || newId();
  if (!isUuid(requestUUID)) throw new Error(`Invalid UUID string: ${requestUUID}`);
  const expirationTime = metadata['expirationTime'];
  if (expirationTime && !/^-?\d{1,16}$/.test(expirationTime)) throw new Error(`For input string: "${expirationTime}"`);
  // Nothing follows from these here, but who writes them wrongly hears of it.
  if (metadata['retries']) checkInteger(metadata['retries']);
  if (Object.hasOwn(body, 'requestId')) checkRequestId(body['requestId']!);
  if (typeof body['method'] === 'object' && !(body['method'] instanceof Double)) throw new Error('Method of the message is not a text!');
  return {
    requestUUID,
    deviceId: originator.id,
    method: text(body, 'method'),
    params: text(body, 'params'),
    oneway: isTrue(metadata['oneway']),
    expiresAt: expirationTime ? Number(expirationTime) : now() + timeoutMs,
  };
}

/** Of a number only its whole part counts. */
function checkRequestId(id: Json): void {
  if (typeof id === 'string') checkInteger(id);
  else if (typeof id !== 'number' && typeof id !== 'bigint' && !(id instanceof Double)) throw new Error('Request id of the message is not a number!');
}

/** A text is taken as it is (REST puts JSON text there), everything else as its JSON text. */
const text = (body: JsonObject, key: string): string => plainText(body[key]!);

function toEmission(message: Message, answer: RpcAnswer): Emission {
  if (answer.ok) return { to: 'Success', message: withChanges(message, { data: answer.data ?? '{}' }) };
  return { to: 'Failure', message: withChanges(message, { data: JSON.stringify({ error: answer.error }) }), error: answer.error };
}
