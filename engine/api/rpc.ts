import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { actionMessage, enqueueAction } from '../actions.ts';
import { isUuid } from '../id.ts';
import { isJsonObject, type Json, type JsonObject, parseJson, plainText, printJson } from '../json.ts';
import type { Message } from '../message.ts';
import type { RpcAnswer } from '../services.ts';
import { Work } from '../work.ts';
import { textBodies } from './bodies.ts';
import { endWaiting } from './closing.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { isJsonText } from './json-text.ts';
import { newRpc, rpcStep, settle } from './persistent-rpc.ts';
import { requiredText } from './required.ts';
import { type Target, target } from './telemetry-target.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
const MIN_TIMEOUT_MS = 5000;
/** An expiration time in the past is answered like one this far ahead (recorded). */
const MIN_EXPIRATION_MS = 1000;

/** A request to a device, as `POST /api/rpc/…` reads it (specs: rest-api §2.16). */
export interface RpcCall {
  readonly requestUUID: string;
  readonly oneway: boolean;
  readonly method: string;
  /** JSON text. */
  readonly params: string;
  readonly additionalInfo: Json | undefined;
  /** Unix ms. */
  readonly expiresAt: number;
  readonly persistent: boolean;
  readonly retries: number | null;
}

/** RPC to devices. The call is a message of the device's chain; the RPC request node hands it to the device's session, a downlink node to an integration. */
export default async function rpc(app: FastifyInstance, context: ApiContext): Promise<void> {
  textBodies(app);
  endWaiting(app, () => context.waiting.close());

  for (const { path, oneway, older } of [
    { path: '/api/rpc/oneway/:deviceId', oneway: true, older: false },
    { path: '/api/rpc/twoway/:deviceId', oneway: false, older: false },
    { path: '/api/plugins/rpc/oneway/:deviceId', oneway: true, older: true },
    { path: '/api/plugins/rpc/twoway/:deviceId', oneway: false, older: true },
  ]) {
    const schema = { tags: ['RPC'], summary: `Calls a method of a device, ${oneway ? 'without' : 'with'} an answer` };
    app.post<{ Params: { deviceId: string } }>(path, { schema }, async ({ caller, params, body }, reply) => {
      const text = requiredText(body);
      const device = await target(context, caller, 'DEVICE', params.deviceId, 'write');
      const call = readCall(text, oneway, context.now());
      if (call.persistent) return persist(caller, device, call);
      const work = new Work();
      enqueueAction(work, callMessage(caller, device, call, context));
      // Waiting begins before the commit: the chain may answer before this function goes on.
      const answer = context.waiting.rpcAnswer(call.requestUUID, call.expiresAt - context.now(), !oneway);
      try {
        await context.backend.commit(work);
      } catch (cause) {
        context.waiting.answerRpc(call.requestUUID, { ok: false, error: 'FAILED' });
        throw cause;
      }
      return sendAnswer(reply, await answer, older);
    });
  }

  async function persist(caller: Caller, device: Target, call: RpcCall): Promise<{ rpcId: string }> {
    const work = new Work();
    const doc = newRpc(device, call, context.now());
    rpcStep(work, doc, 'QUEUED', context.now());
    enqueueAction(work, callMessage(caller, device, { ...call, requestUUID: doc.id }, context));
    const answer = context.waiting.rpcAnswer(doc.id, call.expiresAt - context.now(), !call.oneway);
    await context.backend.commit(work);
    void answer
      .then((result) => settle(context, doc, result))
      .catch((cause) => app.log.error({ err: cause, rpcId: doc.id }, 'persistent RPC not settled'));
    return { rpcId: doc.id };
  }
}

function callMessage(caller: Caller, device: Target, call: RpcCall, context: ApiContext): Message {
  const metadata: Record<string, string> = {
    requestUUID: call.requestUUID,
    originServiceId: context.serviceId,
    expirationTime: String(call.expiresAt),
    oneway: String(call.oneway),
    persistent: String(call.persistent),
    deviceName: device.name,
    deviceType: device.type,
  };
  if (call.retries !== null) metadata['retries'] = String(call.retries);
  const info = call.additionalInfo === undefined || call.additionalInfo === null ? null : plainText(call.additionalInfo);
  const data = JSON.stringify({ method: call.method, params: call.params, additionalInfo: info });
  return actionMessage({
    caller,
    tenantId: device.tenantId,
    type: 'RPC_CALL_FROM_SERVER_TO_DEVICE',
    originator: device.ref,
    customerId: device.customerId,
    data,
    metadata,
    now: context.now(),
  });
}

/** @throws HttpError 400 */
function readCall(text: string, oneway: boolean, now: number): RpcCall {
  const body = parseBody(text);
  const method = body['method'];
  if (method === undefined || method === null) throw badRequest('Invalid request body: method must not be null');
  const requestUUID = body['requestUUID'] ?? null;
  if (requestUUID !== null && !(typeof requestUUID === 'string' && isUuid(requestUUID)))
    throw badRequest(`Invalid UUID string: ${plainText(requestUUID)}`);
  const timeout = Math.max(positive(body, 'timeout') ?? DEFAULT_TIMEOUT_MS, MIN_TIMEOUT_MS);
  const expirationTime = positive(body, 'expirationTime');
  return {
    requestUUID: typeof requestUUID === 'string' ? requestUUID.toLowerCase() : randomUUID(),
    oneway,
    method: plainText(method),
    params: printJson(body['params'] ?? null),
    additionalInfo: body['additionalInfo'],
    expiresAt: expirationTime === null ? now + timeout : Math.max(expirationTime, now + MIN_EXPIRATION_MS),
    persistent: body['persistent'] === true,
    retries: positive(body, 'retries'),
  };
}

function parseBody(text: string): JsonObject {
  let body: Json;
  try {
    body = parseJson(text);
  } catch {
    throw badRequest('Invalid request body');
  }
  if (!isJsonObject(body)) throw badRequest('Invalid request body');
  return body;
}

function positive(body: JsonObject, key: string): number | null {
  const value = body[key] ?? null;
  if (value === null) return null;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw badRequest(`Invalid request body: ${key} is not a whole number`);
  return value;
}

function sendAnswer(reply: FastifyReply, answer: RpcAnswer, older: boolean): FastifyReply {
  if (!answer.ok) return reply.code(older ? (answer.error === 'NO_ACTIVE_CONNECTION' ? 409 : 408) : 504).send();
  if (answer.data === null) return reply.code(200).send();
  return isJsonText(answer.data) ? reply.type('application/json').send(answer.data) : reply.code(406).send();
}
