import type { FastifyInstance, FastifyReply } from 'fastify';
import { actionMessage, enqueueAction } from '../actions.ts';
import { isJsonObject, type Json, type KeyValue, parseJson, toValue, valueJson } from '../json.ts';
import { ATTRIBUTE_SCOPES, type AttributeScope } from '../message.ts';
import type { Attribute } from '../store.ts';
import { Work } from '../work.ts';
import { textBodies } from './bodies.ts';
import type { ApiContext, Caller } from './context.ts';
import { badRequest } from './errors.ts';
import { requiredText } from './required.ts';
import { keyList, restKeyProblem, scopeOf, type Target, target } from './telemetry-target.ts';

interface Params {
  entityType: string;
  entityId: string;
  scope?: string;
}

interface DeviceParams {
  deviceId: string;
  scope: string;
}

const BASE = '/api/plugins/telemetry';

/** Attributes by REST (specs: rest-api §2.15). Writes store directly, then the message of §2.22 enters the rule chain; both in one commit. */
export default async function attributes(app: FastifyInstance, context: ApiContext): Promise<void> {
  textBodies(app);
  const { store } = context.backend;

  async function read(caller: Caller, params: Params, keys: readonly string[] | undefined): Promise<Attribute[]> {
    const scopes = params.scope === undefined ? ATTRIBUTE_SCOPES : [scopeOf(params.scope)];
    const { ref, tenantId } = await target(context, caller, params.entityType, params.entityId, 'read');
    return (await Promise.all(scopes.map((scope) => store.attributes(tenantId, ref, scope, keys)))).flat();
  }

  for (const path of [`${BASE}/:entityType/:entityId/keys/attributes`, `${BASE}/:entityType/:entityId/keys/attributes/:scope`]) {
    app.get<{ Params: Params }>(path, async (request) => {
      const found = await read(request.caller, request.params, undefined);
      // A key of two scopes comes twice (recorded).
      return found.map(({ key }) => key);
    });
  }

  for (const path of [`${BASE}/:entityType/:entityId/values/attributes`, `${BASE}/:entityType/:entityId/values/attributes/:scope`]) {
    app.get<{ Params: Params }>(path, async (request, reply) => {
      const keys = keyList(request.query);
      const found = await read(request.caller, request.params, keys.length > 0 ? keys : undefined);
      const items = found.map(
        ({ key, value, lastUpdateTs }) => `{"lastUpdateTs":${lastUpdateTs},"key":${JSON.stringify(key)},"value":${valueJson(value)}}`,
      );
      return reply.type('application/json').send(`[${items.join(',')}]`);
    });
  }

  async function save(caller: Caller, entityType: string, entityId: string, scopeText: string, body: unknown, reply: FastifyReply) {
    const scope = scopeOf(scopeText);
    if (scope === 'CLIENT_SCOPE') throw badRequest('Invalid scope: CLIENT_SCOPE');
    const entity = await target(context, caller, entityType, entityId, 'write');
    const values = readAttributes(requiredText(body));
    const now = context.now();
    const work = new Work();
    for (const [key, value] of values) work.attributes.push({ tenantId: entity.tenantId, entity: entity.ref, scope, key, value, lastUpdateTs: now });
    const data = `{${values.map(([key, value]) => `${JSON.stringify(key)}:${valueJson(value)}`).join(',')}}`;
    announce(work, caller, entity, 'ATTRIBUTES_UPDATED', scope, data, now);
    if (scope === 'SHARED_SCOPE' && entity.ref.entityType === 'DEVICE') {
      work.afterCommit(() => context.waiting.notifyAttributes(entity.ref.id, { scope, updated: values }));
    }
    await context.backend.commit(work);
    return reply.code(200).send();
  }

  async function remove(caller: Caller, entityType: string, entityId: string, scopeText: string, query: unknown, reply: FastifyReply) {
    const scope = scopeOf(scopeText);
    const keys = keyList(query);
    if (keys.length === 0) throw badRequest('Empty keys: []');
    const entity = await target(context, caller, entityType, entityId, 'write');
    const work = new Work();
    work.attributes.push({ tenantId: entity.tenantId, entity: entity.ref, scope, keys });
    announce(work, caller, entity, 'ATTRIBUTES_DELETED', scope, JSON.stringify({ attributes: keys }), context.now());
    if (scope === 'SHARED_SCOPE' && entity.ref.entityType === 'DEVICE') {
      work.afterCommit(() => context.waiting.notifyAttributes(entity.ref.id, { scope, deleted: keys }));
    }
    await context.backend.commit(work);
    return reply.code(200).send();
  }

  for (const path of [`${BASE}/:entityType/:entityId/attributes/:scope`, `${BASE}/:entityType/:entityId/:scope`]) {
    app.post<{ Params: Params }>(path, ({ caller, params, body }, reply) =>
      save(caller, params.entityType, params.entityId, params.scope!, body, reply),
    );
  }
  app.delete<{ Params: Params }>(`${BASE}/:entityType/:entityId/:scope`, ({ caller, params, query }, reply) =>
    remove(caller, params.entityType, params.entityId, params.scope!, query, reply),
  );
  // Two segments: a device (specs: rest-api §1.7).
  app.post<{ Params: DeviceParams }>(`${BASE}/:deviceId/:scope`, ({ caller, params, body }, reply) =>
    save(caller, 'DEVICE', params.deviceId, params.scope, body, reply),
  );
  app.delete<{ Params: DeviceParams }>(`${BASE}/:deviceId/:scope`, ({ caller, params, query }, reply) =>
    remove(caller, 'DEVICE', params.deviceId, params.scope, query, reply),
  );
}

function announce(work: Work, caller: Caller, entity: Target, type: string, scope: AttributeScope, data: string, now: number): void {
  const { tenantId, ref, customerId } = entity;
  enqueueAction(work, actionMessage({ caller, tenantId, type, originator: ref, customerId, data, metadata: { scope }, now }));
}

/** @throws HttpError 400 with the recorded texts. */
function readAttributes(text: string): KeyValue[] {
  let body: Json;
  try {
    body = parseJson(text);
  } catch {
    throw badRequest('Invalid JSON');
  }
  if (!isJsonObject(body)) throw badRequest('Request is not a JSON object');
  const keys = Object.keys(body);
  if (keys.length === 0) throw badRequest('No attributes data found in request body!');
  return keys.map((key) => {
    const problem = restKeyProblem(key);
    if (problem) throw badRequest(problem);
    const value = toValue(body[key]!);
    if (value === null) throw badRequest("Can't parse value: null");
    return [key, value];
  });
}
