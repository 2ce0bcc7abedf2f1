import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { enqueueAction } from '../actions.ts';
import type { AttributeChange } from '../control.ts';
import { errorText } from '../errors.ts';
import { newId } from '../id.ts';
import { isJsonObject, type KeyValue, parseAttributes, parseJson, parseSamples, valueJson } from '../json.ts';
import { createMessage } from '../message.ts';
import type { Attribute, Doc } from '../store.ts';
import { Work } from '../work.ts';
import { anyTextBodies } from './bodies.ts';
import { endWaiting } from './closing.ts';
import type { ApiContext } from './context.ts';
import { deviceTokens } from './device-tokens.ts';
import { badRequest, ErrorCode, sendError } from './errors.ts';
import { createLongPolls, type LongPolls } from './long-poll.ts';
import { deliverQueued } from './persistent-rpc.ts';
import { requiredText } from './required.ts';

interface Params {
  token: string;
  requestId?: string;
}
type Query = Readonly<Record<string, unknown>>;

const LONGEST_POLL_MS = 60_000;
const BODY_LIMIT = 50 * 1024 * 1024;
const RPC_BODY_LIMIT = 64 * 1024;
const BASE = '/api/v1/:token';
const config = { who: 'open' } as const;
const tags = ['Device API'];

/** What devices speak over HTTP, known by their access token (specs: rest-api §2.21). Acknowledged when the message is durable. */
export default async function deviceApi(app: FastifyInstance, context: ApiContext): Promise<void> {
  anyTextBodies(app);
  const { store } = context.backend;
  const deviceOf = deviceTokens(context.backend);
  const polls = createLongPolls(context.waiting);
  endWaiting(app, () => polls.close());

  /** A route of a device: 401 without a word when nobody has the token. */
  function route(
    method: 'GET' | 'POST',
    path: string,
    summary: string,
    handle: (device: Doc, request: FastifyRequest<{ Params: Params }>, reply: FastifyReply) => Promise<FastifyReply>,
    bodyLimit = BODY_LIMIT,
  ): void {
    app.route<{ Params: Params }>({
      method,
      url: BASE + path,
      exposeHeadRoute: false,
      config,
      bodyLimit,
      schema: { tags, summary },
      async handler(request, reply) {
        const device = await deviceOf(request.params.token);
        if (!device) return reply.code(401).send();
        const answer = await handle(device, request, reply);
        context.control.devices.activity(device.tenantId, device.id);
        return answer;
      },
    });
  }

  route('POST', '/telemetry', 'Telemetry', async (device, { body }, reply) => {
    const now = context.now();
    const text = requiredText(body);
    const samples = refusing(() => parseSamples(text, now, { nulls: 'drop' }));
    // `{}` is nothing to say (recorded); an empty list never gets an answer from the original.
    if (/^\s*\[\s*\]\s*$/.test(text)) throw badRequest('No time series data found in request body!');
    const work = new Work();
    for (const { ts, values } of samples) enqueue(work, device, 'POST_TELEMETRY_REQUEST', objectJson(values), { ts: String(ts) }, now);
    if (!work.isEmpty) await context.backend.commit(work);
    return reply.code(200).send();
  });

  route('POST', '/attributes', 'Client attributes', async (device, { body }, reply) => {
    const text = requiredText(body);
    const values = refusing(() => parseAttributes(text, { nulls: 'drop' }));
    const work = new Work();
    if (values.length > 0) enqueue(work, device, 'POST_ATTRIBUTES_REQUEST', objectJson(values), { notifyDevice: 'false' }, context.now());
    if (!work.isEmpty) await context.backend.commit(work);
    return reply.code(200).send();
  });

  route('GET', '/attributes', 'Own attributes', async (device, request, reply) => {
    const query = request.query as Query;
    const client = keysOf(query['clientKeys']);
    const shared = keysOf(query['sharedKeys']);
    const all = client.length + shared.length === 0;
    const sections: string[] = [];
    for (const { name, scope, keys } of [
      { name: 'client', scope: 'CLIENT_SCOPE', keys: client },
      { name: 'shared', scope: 'SHARED_SCOPE', keys: shared },
    ] as const) {
      if (!all && keys.length === 0) continue;
      const found = await store.attributes(device.tenantId, { entityType: 'DEVICE', id: device.id }, scope, all ? undefined : keys);
      if (found.length > 0) sections.push(`"${name}":${objectJson(found.map(({ key, value }: Attribute): KeyValue => [key, value]))}`);
    }
    return reply.type('application/json').send(`{${sections.join(',')}}`);
  });

  async function poll(
    device: Doc,
    request: FastifyRequest,
    reply: FastifyReply,
    listen: Parameters<LongPolls['wait']>[2],
    opened = () => {},
  ): Promise<FastifyReply> {
    const waiting = polls.wait(reply, { deviceId: device.id, timeoutMs: timeoutOf(request.query as Query) }, listen);
    opened();
    const answer = await waiting;
    return answer === null ? reply.code(408).send() : reply.type('application/json').send(answer);
  }

  route('GET', '/attributes/updates', 'Waits for a change of shared attributes', (device, request, reply) =>
    poll(device, request, reply, (answer) => ({
      onAttributes: (change) => {
        if (change.scope === 'SHARED_SCOPE') answer(changeJson(change));
      },
    })),
  );

  route('GET', '/rpc', 'Waits for a call', (device, request, reply) =>
    poll(
      device,
      request,
      reply,
      (answer) => ({ onRpc: ({ id, method, params }) => answer(`{"id":${id},"method":${JSON.stringify(method)},"params":${params}}`) }),
      () =>
        void deliverQueued(context, device.tenantId, device.id, app.log).catch((cause) => app.log.error({ err: cause }, 'queued RPC not delivered')),
    ),
  );

  const answered = async (device: Doc, { params, body }: FastifyRequest<{ Params: Params }>, reply: FastifyReply) => {
    if (!/^\d{1,10}$/.test(params.requestId!)) throw badRequest(`Invalid request id: ${params.requestId}`);
    context.waiting.answerDeviceCall(device.id, Number(params.requestId), requiredText(body));
    return reply.code(200).send();
  };
  route('POST', '/rpc/:requestId', 'Answers a call', answered, RPC_BODY_LIMIT);

  const called = async (device: Doc, { body }: FastifyRequest, reply: FastifyReply) => {
    const text = requiredText(body);
    const call = refusing(() => parseJson(text));
    if (!isJsonObject(call) || typeof call['method'] !== 'string') throw badRequest('Method is not present in the message!');
    const sessionId = randomUUID();
    const work = new Work();
    enqueue(work, device, 'TO_SERVER_RPC_REQUEST', text, { requestId: '0', serviceId: context.serviceId, sessionId }, context.now());
    // The session is there before the commit: the chain may answer before this function goes on.
    const waiting = polls.wait(reply, { deviceId: device.id, timeoutMs: LONGEST_POLL_MS, sessionId }, (answer) => ({
      onReply: (_id, data) => answer(data),
    }));
    await context.backend.commit(work);
    const answer = await waiting;
    return answer === null ? reply.code(408).send() : reply.type('text/plain').send(answer);
  };
  route('POST', '/rpc', 'Calls the server', called, RPC_BODY_LIMIT);

  // Claiming, firmware and provisioning are not there: answered as a server answers that knows of none.
  route('POST', '/claim', 'Allows claiming; not supported yet', async (_device, _request, reply) => reply.code(200).send());
  for (const path of ['/firmware', '/software']) route('GET', path, 'Not supported yet', async (_device, _request, reply) => reply.code(404).send());
  app.post('/api/v1/provision', { config, schema: { tags, summary: 'No profile takes new devices' } }, async () => ({
    status: 'NOT_FOUND',
    errorMsg: 'No device profile with this provision key',
  }));

  app.all('/api/v1/*', { config, schema: { hide: true } }, (request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    if (KNOWN_PATH.test(path)) return sendError(reply, 405, ErrorCode.BAD_REQUEST_PARAMS, `Request method '${request.method}' is not supported`);
    return sendError(reply, 404, ErrorCode.ITEM_NOT_FOUND, `Nothing is served at ${path}`);
  });
}

/** Under another verb there is something. */
const KNOWN_PATH = /^\/api\/v1\/(provision|[^/]+\/(telemetry|attributes|attributes\/updates|rpc|rpc\/[^/]+|claim|firmware|software))$/;

/** A message that the device itself sends. */
function enqueue(work: Work, device: Doc, type: string, data: string, metadata: Record<string, string>, now: number): void {
  const { tenantId, id, name, kind, customerId } = device;
  const originator = { entityType: 'DEVICE', id } as const;
  const all = { deviceName: name, deviceType: kind ?? '', ...metadata };
  enqueueAction(
    work,
    createMessage({ tenantId, type, originator, data, metadata: all, customerId }, () => newId(now), now),
  );
}

/** What the body says wrong is the caller's mistake. @throws HttpError 400 */
function refusing<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw badRequest(errorText(cause));
  }
}

const objectJson = (values: readonly KeyValue[]): string =>
  `{${values.map(([key, value]) => `${JSON.stringify(key)}:${valueJson(value)}`).join(',')}}`;

const changeJson = (change: AttributeChange): string =>
  'updated' in change ? objectJson(change.updated) : JSON.stringify({ deleted: change.deleted });

const keysOf = (value: unknown): string[] =>
  [value ?? []]
    .flat()
    .flatMap((text) => String(text).split(','))
    .filter((key) => key !== '');

/** 0 and absent: as long as it may be. @throws HttpError 400 */
function timeoutOf(query: Query): number {
  const text = String([query['timeout'] ?? '0'].flat()[0] || '0');
  if (!/^\d{1,15}$/.test(text)) throw badRequest(`Invalid timeout: ${text}`);
  return Math.min(Number(text) || LONGEST_POLL_MS, LONGEST_POLL_MS * 10);
}
