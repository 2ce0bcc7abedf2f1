import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { actionMessage, enqueueAction } from '../actions.ts';
import { newDoc } from '../entities.ts';
import { VersionConflict } from '../errors.ts';
import { parseJson, printJson } from '../json.ts';
import type { RpcAnswer } from '../services.ts';
import type { Doc } from '../store.ts';
import { Work } from '../work.ts';
import { readable, writable } from './access.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { PAGE_QUERY, pageLink, pageOf } from './paging.ts';
import type { RpcCall } from './rpc.ts';
import { IdParams, typed, Uuid } from './schemas.ts';
import { type Target, target } from './telemetry-target.ts';

const STATUSES = ['QUEUED', 'SENT', 'DELIVERED', 'SUCCESSFUL', 'TIMEOUT', 'EXPIRED', 'FAILED'] as const;
type Status = (typeof STATUSES)[number] | 'DELETED';

/** A call that is kept until the device takes it. Request and answer are kept as JSON text: their numbers keep their spelling. */
export function newRpc(device: Target, call: RpcCall, now: number): Doc {
  const doc = newDoc(
    {
      collection: 'RPC',
      tenantId: device.tenantId,
      name: call.method,
      ref: device.ref.id,
      state: 'QUEUED',
      customerId: device.customerId,
      body: {
        expirationTime: call.expiresAt,
        oneway: call.oneway,
        params: call.params,
        retries: call.retries,
        additionalInfo: call.additionalInfo === undefined ? 'null' : printJson(call.additionalInfo),
        response: null,
      },
    },
    now,
  );
  return doc;
}

/** Rpc as clients read it (specs: rest-api §2.16); `params` of the stored request is a JSON text. */
export function rpcJson(doc: Doc, now: number): string {
  const { body } = doc;
  const tenantId = { entityType: 'TENANT', id: doc.tenantId };
  const deviceId = { entityType: 'DEVICE', id: doc.ref };
  const { oneway, expirationTime, params, retries } = body;
  const request = { id: doc.id, tenantId, deviceId, oneway, expirationTime, body: { method: doc.name, params }, persisted: true, retries };
  const status = doc.state === 'QUEUED' && Number(expirationTime) < now ? 'EXPIRED' : doc.state;
  const head = JSON.stringify({
    id: { entityType: 'RPC', id: doc.id },
    createdTime: doc.createdTime,
    tenantId,
    deviceId,
    expirationTime,
    request,
    status,
  });
  return `${head.slice(0, -1)},"response":${body['response'] ?? 'null'},"additionalInfo":${body['additionalInfo']}}`;
}

/** Saves the call in a new status, and says so in the rule chain (RPC_QUEUED, …). */
export function rpcStep(work: Work, doc: Doc, status: Status, now: number, response?: string): void {
  const isNew = status === 'QUEUED';
  const saved = { ...doc, state: status, body: response === undefined ? doc.body : { ...doc.body, response } };
  if (status === 'DELETED') work.docs.push({ remove: { collection: 'RPC', tenantId: doc.tenantId, id: doc.id } });
  else work.docs.push(isNew ? { doc: saved } : { doc: saved, expects: doc.version });
  const originator = { entityType: 'DEVICE', id: doc.ref! } as const;
  const data = rpcJson(saved, now);
  enqueueAction(
    work,
    actionMessage({ caller: null, tenantId: doc.tenantId, type: `RPC_${status}`, originator, customerId: doc.customerId, data, now }),
  );
}

/** What became of a call while this process waited for it. A call that nobody took stays queued for the device's next session. */
export async function settle(context: ApiContext, { tenantId, id }: Doc, answer: RpcAnswer): Promise<void> {
  const doc = await context.backend.store.doc('RPC', tenantId, id);
  if (!doc || !['QUEUED', 'SENT', 'DELIVERED'].includes(doc.state ?? '')) return;
  const work = new Work();
  const now = context.now();
  if (answer.ok && doc.body['oneway'] === true) {
    if (doc.state === 'DELIVERED') return;
    rpcStep(work, doc, 'DELIVERED', now);
  } else if (answer.ok) rpcStep(work, doc, 'SUCCESSFUL', now, printJson(parseOr(answer.data)));
  else if (answer.error === 'FAILED') rpcStep(work, doc, 'FAILED', now);
  else if (answer.error === 'TIMEOUT') rpcStep(work, doc, 'TIMEOUT', now);
  else if (Number(doc.body['expirationTime']) <= now) rpcStep(work, doc, 'EXPIRED', now);
  else return;
  try {
    await context.backend.commit(work);
  } catch (cause) {
    // Deleted or moved on meanwhile: what happened first stands.
    if (!(cause instanceof VersionConflict)) throw cause;
  }
}

function parseOr(text: string | null) {
  try {
    return parseJson(text ?? 'null');
  } catch {
    return text;
  }
}

/** The oldest call that waits for this device goes to its session that has just opened. Sent first, noted after: a crash between sends it again. */
export async function deliverQueued(context: ApiContext, tenantId: string, deviceId: string, log: FastifyBaseLogger): Promise<void> {
  const { data } = await context.backend.store.docs('RPC', tenantId, { ref: deviceId, states: ['QUEUED'], pageSize: 100 });
  const doc = data.find(({ body }) => Number(body['expirationTime']) > context.now());
  if (!doc) return;
  const oneway = doc.body['oneway'] === true;
  const expiresAt = Number(doc.body['expirationTime']);
  const answer = context.waiting.callDevice({
    requestUUID: doc.id,
    deviceId,
    method: doc.name,
    params: String(doc.body['params']),
    oneway,
    expiresAt,
  });
  if (oneway) return settle(context, doc, await answer);
  const work = new Work();
  rpcStep(work, doc, 'DELIVERED', context.now());
  await context.backend.commit(work);
  void answer.then((result) => settle(context, doc, result)).catch((cause) => log.error({ err: cause, rpcId: doc.id }, 'persistent RPC not settled'));
}

export default async function persistentRpc(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const tags = ['RPC'];
  const path = '/api/rpc/persistent/:id';

  app.get(path, { schema: { tags, summary: 'A persistent call', params: IdParams } }, async ({ caller, params }, reply) => {
    const doc = await readable(context, caller, { entityType: 'RPC', id: params.id });
    return reply.type('application/json').send(rpcJson(doc, context.now()));
  });

  const query = Type.Object({ ...PAGE_QUERY, rpcStatus: Type.Optional(Type.String()) });
  const params = Type.Object({ deviceId: Uuid });
  const schema = { tags, summary: 'Persistent calls of a device', params, querystring: query };
  app.get('/api/rpc/persistent/device/:deviceId', { schema }, async ({ caller, params, query }, reply) => {
    const link = pageLink(query);
    const { rpcStatus } = query;
    if (rpcStatus !== undefined && !(STATUSES as readonly string[]).includes(rpcStatus)) throw badRequest(`Invalid rpcStatus: ${rpcStatus}`);
    const device = await target(context, caller, 'DEVICE', params.deviceId, 'read');
    const states = rpcStatus === undefined ? undefined : [rpcStatus];
    const page = pageOf(await context.backend.store.docs('RPC', device.tenantId, { ...link, ref: device.ref.id, states }), (doc) =>
      rpcJson(doc, context.now()),
    );
    const { data, ...rest } = page;
    return reply.type('application/json').send(`{"data":[${data.join(',')}],${JSON.stringify(rest).slice(1)}`);
  });

  app.delete(
    path,
    { config: { who: 'T' }, schema: { tags, summary: 'Deletes a persistent call', params: IdParams } },
    async ({ caller, params }, reply) => {
      const doc = await writable(context, caller, { entityType: 'RPC', id: params.id });
      const work = new Work();
      rpcStep(work, doc, 'DELETED', context.now());
      await context.backend.commit(work);
      return reply.code(200).send();
    },
  );
}
