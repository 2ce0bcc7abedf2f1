import { type Static, Type } from 'typebox';
import type { InboundReply, InboundRequest, IntegrationInfo, RawUplink } from '#engine/integration.ts';
import { Config } from '#engine/schema.ts';

/** What the HTTP family shares (specs: integrations §3.0). */

const BASE_URL = { title: 'Base URL', description: 'How senders reach this server; only shown.' };

export const HttpConfig = Config(
  {
    baseUrl: Type.Optional(Type.Union([Type.String(BASE_URL), Type.Null()], BASE_URL)),
    httpEndpoint: Type.Optional(
      Type.Union([Type.String(), Type.Null()], { title: 'Endpoint', description: 'Made by the server: where senders post to.' }),
    ),
    enableSecurity: Type.Boolean({ title: 'Check headers', description: 'Refuse requests without the headers below.', default: false }),
    headersFilter: Type.Optional(
      Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()], {
        title: 'Headers',
        description: 'Every one must be there with exactly this value; names in any case.',
        examples: [{ 'X-Plant-Key': '7h3k' }],
      }),
    ),
    downlinkPolicy: Type.Optional(
      Type.Enum(['last', 'fifo'], {
        title: 'Waiting downlinks',
        description: 'Of one device: the last one wins (default), or all, one an answer.',
        advanced: true,
      }),
    ),
    downlinkTtlMinutes: Type.Optional(
      Type.Integer({
        title: 'Downlink waits',
        description: 'Then it is EXPIRED. Default a day.',
        minimum: 1,
        maximum: 525_600,
        unit: 'min',
        advanced: true,
      }),
    ),
    replaceNoContentToOk: Type.Boolean({ title: '200 instead of 204', description: 'For senders that take 204 for a failure.', default: false }),
  },
  { unknownKeys: 'keep' },
);
export type HttpConfig = Static<typeof HttpConfig>;

export const HTTP_METADATA = { 'Header:<name>': 'each header of the request, name in lower case; repeated ones joined with ", "' };

/** 403 when a header of the filter is missing or different. */
export function refuseByHeaders(request: InboundRequest, config: HttpConfig): InboundReply | null {
  if (!config.enableSecurity) return null;
  for (const [name, value] of Object.entries(config.headersFilter ?? {})) {
    if (request.headers[name.toLowerCase()] !== value) return { status: 403, body: 'Security check failed' };
  }
  return null;
}

function contentTypeOf(header: string | undefined): RawUplink['contentType'] {
  const type = (header ?? '').split(';')[0]!.trim().toLowerCase();
  if (type === 'application/json' || type.endsWith('+json')) return 'JSON';
  return type.startsWith('text/') || type === 'application/x-www-form-urlencoded' ? 'TEXT' : 'BINARY';
}

export function toUplink(request: InboundRequest, config: HttpConfig): RawUplink {
  const metadata: Record<string, string> = {};
  for (const name in request.headers) metadata[`Header:${name}`] = request.headers[name]!;
  const hidden = ['Header:authorization'];
  if (config.enableSecurity) for (const name in config.headersFilter ?? {}) hidden.push(`Header:${name.toLowerCase()}`);
  return {
    payload: request.body,
    contentType: contentTypeOf(request.headers['content-type']),
    metadata,
    receivedAt: Date.now(),
    hiddenMetadata: hidden,
  };
}

export const emptyReply = ({ replaceNoContentToOk }: HttpConfig): InboundReply => ({ status: replaceNoContentToOk ? 200 : 204 });

/** The read-only endpoint that the form shows. */
export function withEndpoint(
  config: Record<string, unknown>,
  type: string,
  { routingKey }: Pick<IntegrationInfo, 'routingKey'>,
): Record<string, unknown> {
  const baseUrl = typeof config['baseUrl'] === 'string' ? config['baseUrl'].replace(/\/+$/, '') : '';
  return { ...config, httpEndpoint: `${baseUrl}/api/v1/integrations/${type.toLowerCase()}/${routingKey}` };
}
