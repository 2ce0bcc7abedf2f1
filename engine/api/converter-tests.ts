import type { FastifyInstance } from 'fastify';
import { downlinkOutput, uplinkOutput } from '#engine/uplink/convert.ts';
import { errorText } from '../errors.ts';
import type { EntityRef } from '../message.ts';
import type { Script, ScriptArgs, ScriptKind, ScriptResult } from '../script.ts';
import type { Doc } from '../store.ts';
import { readable } from './access.ts';
import type { ApiContext } from './context.ts';
import { badRequest } from './errors.ts';
import { isBase64, requiredObject } from './required.ts';
import { AnyJson, IdParams, typed } from './schemas.ts';
import { oneOf } from './telemetry-target.ts';
import { hintsOf, LANGUAGE_QUERY, LANGUAGES, TEST_TIMEOUT_MS } from './test-script.ts';

type Json = Record<string, unknown>;
const who = 'T';
const tags = ['Converters'];

/** The converter's test dialog (specs: rest-api §2.12). Whatever a script does is answered with 200 and, when it went wrong, a text in `error`. */
export default async function converterTests(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);

  async function run(kind: ScriptKind, query: unknown, body: string, args: ScriptArgs): Promise<{ result: ScriptResult; hints: object }> {
    const script: Script = { kind, language: oneOf(query, 'scriptLang', LANGUAGES, 'JS'), body };
    return { result: await context.scripts.runOnce(script, args, { timeoutMs: TEST_TIMEOUT_MS }), hints: hintsOf(context, script) };
  }

  const uplink = { tags, summary: 'Runs an uplink converter once', body: AnyJson, querystring: LANGUAGE_QUERY };
  app.post('/api/converter/testUpLink', { config: { who }, schema: uplink }, async ({ body, query }) => {
    const fields = requiredObject(body);
    const { decoder, payload, converter } = fields;
    if (typeof decoder !== 'string') throw badRequest('Validation error: decoder must not be null');
    const { result, hints } = await run('uplink', query, decoder, [bytesOf(payload), JSON.stringify(fields['metadata'] ?? {})]);
    if (!result.ok) return { ...failure(result.fault.message), ...hints };
    // Typed converters name the entity in their configuration, not in their output.
    const isTyped = (converter as Json | null | undefined)?.['converterVersion'] === 2;
    return { output: result.json ?? 'null', error: isTyped ? '' : problemOf(() => uplinkOutput(result.json, context.now())), ...hints };
  });

  const downlink = { tags, summary: 'Runs a downlink converter once', body: AnyJson, querystring: LANGUAGE_QUERY };
  app.post('/api/converter/testDownLink', { config: { who }, schema: downlink }, async ({ body, query }) => {
    const fields = requiredObject(body);
    const { encoder, msg, msgType } = fields;
    if (typeof encoder !== 'string') throw badRequest('Validation error: encoder must not be null');
    const msgJson = typeof msg === 'string' ? msg : JSON.stringify(msg ?? {});
    const metadata = JSON.stringify(fields['metadata'] ?? {});
    const { result, hints } = await run('downlink', query, encoder, [
      msgJson,
      metadata,
      String(msgType ?? ''),
      JSON.stringify(fields['integrationMetadata'] ?? {}),
    ]);
    if (!result.ok) return { ...failure(result.fault.message), ...hints };
    const error = problemOf(() => downlinkOutput(result.json));
    return { ...(error === '' ? firstOf(result.json) : {}), output: result.json ?? 'null', error, ...hints };
  });

  app.get(
    '/api/converter/:id/debugIn',
    { config: { who }, schema: { tags, summary: 'What came into a converter last', params: IdParams } },
    async ({ caller, params }) => {
      const entity: EntityRef = { entityType: 'CONVERTER', id: params.id };
      const doc = await readable(context, caller, entity);
      const { data } = await context.backend.store.events(doc.tenantId, entity, { type: 'DEBUG_CONVERTER', pageSize: 1, order: 'DESC' });
      return data[0] ? debugInput(doc, data[0].body) : sample(doc);
    },
  );
}

const failure = (message: string) => ({ output: '', error: message || 'The script failed' });

function problemOf(check: () => unknown): string {
  try {
    check();
    return '';
  } catch (cause) {
    return errorText(cause);
  }
}

function bytesOf(payload: unknown): Uint8Array {
  if (payload === undefined || payload === null) return new Uint8Array();
  if (typeof payload !== 'string' || !isBase64(payload)) throw badRequest('Validation error: payload is not base64');
  return Buffer.from(payload, 'base64');
}

/** The documented form of the answer, beside the one that the editor reads. */
function firstOf(json: string | undefined): Json {
  const result: unknown = json === undefined ? null : JSON.parse(json);
  const first = Array.isArray(result) ? result[0] : result;
  if (typeof first !== 'object' || first === null) return {};
  const { contentType, data, metadata } = first as Json;
  return { contentType, data: typeof data === 'string' ? data : JSON.stringify(data), metadata: metadata ?? {} };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value));

function debugInput({ kind }: Doc, body: Json): Json {
  const input = { inContentType: text(body['inMessageType']) || 'JSON', inContent: text(body['in']), inMetadata: text(body['metadata']) || '{}' };
  if (kind === 'UPLINK') return input;
  return { ...input, inMsgType: text(body['msgType']) || 'ATTRIBUTES_UPDATED', inIntegrationMetadata: text(body['integrationMetadata']) || '{}' };
}

/** Something to try a converter with that has not seen anything yet. */
function sample({ kind }: Doc): Json {
  if (kind === 'UPLINK') return { inContentType: 'JSON', inContent: '{"temperature":21.5}', inMetadata: '{"integrationName":"Example"}' };
  return {
    inContentType: 'JSON',
    inContent: '{"temperatureUploadFrequency":60}',
    inMsgType: 'ATTRIBUTES_UPDATED',
    inMetadata: '{"deviceName":"Example","deviceType":"default","scope":"SHARED_SCOPE"}',
    inIntegrationMetadata: '{"integrationName":"Example"}',
  };
}
