import type { Answer, Ledger, Product } from './product.ts';

/** What a tenant sets up by REST: converters, integrations, chains; and what it reads back. Every function takes the running product first. */

const NS = 'org.thingsboard.rule.engine.';

export const createUplinkConverter = (product: Product, name: string, decoder: string): Promise<Answer> =>
  product.call('POST', '/api/converter', { name, type: 'UPLINK', converterVersion: 1, configuration: { scriptLang: 'JS', decoder } });

export const createDownlinkConverter = (product: Product, name: string, encoder: string): Promise<Answer> =>
  product.call('POST', '/api/converter', { name, type: 'DOWNLINK', converterVersion: 1, configuration: { scriptLang: 'JS', encoder } });

export interface IntegrationOptions {
  name: string;
  uplink: Answer;
  downlink?: Answer;
  metadata?: Record<string, string>;
}

export function createMqttIntegration(
  product: Product,
  {
    name,
    uplink,
    downlink,
    metadata = {},
    port,
    filters,
    pattern = '${topic}',
    clientId = '',
  }: IntegrationOptions & { port: number; filters: readonly string[]; pattern?: string; clientId?: string },
): Promise<Answer> {
  return product.call('POST', '/api/integration', {
    name,
    type: 'MQTT',
    enabled: true,
    allowCreateDevicesOrAssets: true,
    defaultConverterId: uplink.id,
    downlinkConverterId: downlink?.id ?? null,
    configuration: {
      clientConfiguration: {
        host: '127.0.0.1',
        port,
        cleanSession: false,
        ssl: false,
        connectTimeoutSec: 10,
        clientId,
        maxBytesInMessage: 32_368,
        protocolVersion: 'MQTT_3_1_1',
        credentials: { type: 'anonymous' },
      },
      topicFilters: filters.map((filter) => ({ filter, qos: 1 })),
      downlinkTopicPattern: pattern,
      metadata,
    },
  });
}

/** HTTP or SIGFOX: the routing key is in the answer. */
export function createInboundIntegration(
  product: Product,
  {
    name,
    uplink,
    downlink,
    metadata = {},
    type = 'HTTP',
    configuration = {},
  }: IntegrationOptions & { type?: 'HTTP' | 'SIGFOX'; configuration?: object },
): Promise<Answer> {
  return product.call('POST', '/api/integration', {
    name,
    type,
    enabled: true,
    allowCreateDevicesOrAssets: true,
    defaultConverterId: uplink.id,
    downlinkConverterId: downlink?.id ?? null,
    configuration: { baseUrl: product.url, enableSecurity: false, headersFilter: {}, replaceNoContentToOk: false, metadata, ...configuration },
  });
}

export const inboundPath = (integration: Answer): string => `/api/v1/integrations/${integration.type.toLowerCase()}/${integration.routingKey}`;

/** A step of a chain: name → node type behind the common prefix, configuration, and targets by label. */
export interface ChainStep {
  type: string;
  configuration?: Record<string, unknown>;
  configurationVersion?: number;
  debug?: boolean;
  to?: Record<string, string | readonly string[]>;
}

/** Saves a chain by REST as the editor does: the chain, then its metadata, then perhaps the root flag. The first step is the entry. */
export async function saveChain(product: Product, name: string, steps: Record<string, ChainStep>, { root = true } = {}): Promise<Answer> {
  const names = Object.keys(steps);
  const metadata = {
    firstNodeIndex: 0,
    nodes: names.map((each, i) => {
      const step = steps[each]!;
      return {
        type: NS + step.type,
        name: each,
        configuration: step.configuration ?? { version: 0 },
        configurationVersion: step.configurationVersion ?? 0,
        debugSettings: step.debug ? { failuresEnabled: true, allEnabled: true } : null,
        singletonMode: false,
        additionalInfo: { layoutX: 200 + 150 * i, layoutY: 150 },
      };
    }),
    connections: names.flatMap((from, fromIndex) =>
      Object.entries(steps[from]!.to ?? {}).flatMap(([type, targets]) =>
        [targets].flat().map((target) => ({ fromIndex, toIndex: names.indexOf(target as string), type })),
      ),
    ),
    ruleChainConnections: null,
  };
  return importChain(product, { ruleChain: { name, type: 'CORE', root: false }, metadata }, { root });
}

/** The calls with which a client imports a chain file (specs: rest-api §2.9). Answers with the saved chain. */
export async function importChain(product: Product, file: { ruleChain: object; metadata: object }, { root = false } = {}): Promise<Answer> {
  const chain = await product.call('POST', '/api/ruleChain', file.ruleChain);
  await product.call('POST', '/api/ruleChain/metadata', { ...file.metadata, ruleChainId: chain.id });
  return root ? product.call('POST', `/api/ruleChain/${chain.id.id}/root`) : chain;
}

export const SAVE_TELEMETRY: ChainStep = {
  type: 'telemetry.TbMsgTimeseriesNode',
  configurationVersion: 1,
  configuration: { defaultTTL: 0, useServerTs: false, processingSettings: { type: 'ON_EVERY_MESSAGE' } },
};

export const SAVE_ATTRIBUTES: ChainStep = {
  type: 'telemetry.TbMsgAttributesNode',
  configurationVersion: 3,
  configuration: {
    scope: 'CLIENT_SCOPE',
    notifyDevice: false,
    sendAttributesUpdatedNotification: false,
    updateAttributesOnlyOnValueChange: true,
    processingSettings: { type: 'ON_EVERY_MESSAGE' },
  },
};

export const scriptFilter = (jsScript: string): ChainStep => ({
  type: 'filter.TbJsFilterNode',
  configuration: { scriptLang: 'JS', jsScript, tbelScript: 'return true;' },
});

export const pushToIntegration = (integration: Answer): ChainStep => ({
  type: 'integration.TbIntegrationDownlinkNode',
  configuration: { integrationId: integration.id.id },
});

export const ledgerOf = (product: Product, integration: Answer): Promise<Ledger> =>
  product.call('GET', `/api/integration/${integration.id.id}/ledger`);

/** What does not add up in a ledger; empty when it does. */
export function ledgerFaults({ uplinks, messages, downlinks }: Ledger): string[] {
  const faults: string[] = [];
  const outcome = uplinks.converted + uplinks.empty + uplinks.dead + uplinks.inFlight;
  if (uplinks.received !== outcome) faults.push(`uplinks: ${uplinks.received} received, ${outcome} accounted for`);
  const ends = messages.stored + messages.filtered + messages.dead + messages.inFlight;
  if (messages.created !== ends) faults.push(`messages: ${messages.created} created, ${ends} accounted for`);
  const ways = downlinks.sent + downlinks.pending + downlinks.replaced + downlinks.expired + downlinks.failed;
  if (downlinks.created !== ways) faults.push(`downlinks: ${downlinks.created} created, ${ways} accounted for`);
  return faults;
}

type Truthy<T> = Exclude<T, false | null | undefined | 0 | ''>;

/** Asks until the answer is truthy. @throws Error with the last answer after the deadline. */
export async function eventually<T>(what: string, ask: () => Promise<T> | T, { deadlineMs = 10_000, everyMs = 20 } = {}): Promise<Truthy<T>> {
  const end = Date.now() + deadlineMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer) return answer as Truthy<T>;
      last = answer;
    } catch (cause) {
      last = cause;
    }
    if (Date.now() > end)
      throw new Error(`${what}: not within ${deadlineMs} ms; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`, {
        cause: last instanceof Error ? last : undefined,
      });
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

export const deviceByName = (product: Product, name: string): Promise<Answer> =>
  product.call('GET', `/api/tenant/devices?deviceName=${encodeURIComponent(name)}`);

/** Integration state by REST: active, or with its error. */
export async function activeIntegration(product: Product, integration: Answer, deadlineMs = 10_000): Promise<void> {
  await eventually(`integration ${integration.name} is active`, async () => (await integrationStatus(product, integration))?.success, { deadlineMs });
}

export async function integrationStatus(product: Product, integration: Answer): Promise<{ success: boolean; error?: string } | undefined> {
  const { data } = await product.call('GET', '/api/integrationInfos?pageSize=1000&page=0');
  return data.find((each: Answer) => each.id.id === integration.id.id)?.status;
}

/** Latest values of a device by key, as numbers, texts, booleans. */
export async function latest(product: Product, deviceId: string, keys: readonly string[]): Promise<Record<string, unknown>> {
  const answer = await product.call(
    'GET',
    `/api/plugins/telemetry/DEVICE/${deviceId}/values/timeseries?keys=${keys.join(',')}&useStrictDataTypes=true`,
  );
  return Object.fromEntries(keys.map((key) => [key, answer[key]?.[0]?.value ?? null]));
}

export async function attributes(product: Product, deviceId: string, scope: string): Promise<Record<string, unknown>> {
  const answer = await product.call('GET', `/api/plugins/telemetry/DEVICE/${deviceId}/values/attributes/${scope}`);
  return Object.fromEntries(answer.map(({ key, value }: { key: string; value: unknown }) => [key, value]));
}

/** Every stored number of a key, with its duplicates, over all time. */
export async function storedNumbers(product: Product, deviceId: string, key: string): Promise<number[]> {
  const numbers: number[] = [];
  const pageSize = 10_000;
  let startTs = 0;
  for (;;) {
    const query = `keys=${key}&startTs=${startTs}&endTs=9000000000000&agg=NONE&limit=${pageSize}&orderBy=ASC&useStrictDataTypes=true`;
    const answer = await product.call('GET', `/api/plugins/telemetry/DEVICE/${deviceId}/values/timeseries/history?${query}`);
    const points: { ts: number; value: number }[] = answer[key] ?? [];
    for (const { value } of points) numbers.push(value);
    if (points.length < pageSize) return numbers;
    startTs = points.at(-1)!.ts + 1;
  }
}
