import { DEVICE_NAME, DOWN_TOPIC } from './device.ts';

const NS = 'org.thingsboard.rule.engine';
const PROFILE = 'greenhouse sensor';
const CHAIN = 'Demo greenhouse chain';
export const DEMO_INTEGRATION = 'Demo broker';

const DECODER = `// Six bytes: temperature int16 in 0.1 °C, humidity %, battery mV, sending period in s (big endian).
const temperature = (((payload[0] << 8) | payload[1]) << 16 >> 16) / 10;
return {
  deviceName: '${DEVICE_NAME}',
  deviceType: '${PROFILE}',
  telemetry: { temperature: temperature, humidity: payload[2], battery: ((payload[3] << 8) | payload[4]) / 1000 },
  attributes: { uploadPeriod: payload[5] }
};`;

const ENCODER = `// A changed shared attribute uploadPeriod, or an RPC setPeriod, becomes one byte: the new period in seconds.
var seconds = msgType === 'RPC_CALL_FROM_SERVER_TO_DEVICE' && msg.method === 'setPeriod' ? Number(msg.params) : msg.uploadPeriod;
if (!(seconds >= 1 && seconds <= 255)) return null;
return { contentType: 'BINARY', data: btoa(String.fromCharCode(seconds)), metadata: { topic: '${DOWN_TOPIC}' } };`;

/** A REST call with the tenant's login. @throws Error unless it answers 200. */
// biome-ignore lint/suspicious/noExplicitAny: answers of our own REST API
export type Call = (method: 'GET' | 'POST', path: string, body?: unknown) => Promise<any>;

/**
 * Makes the demo's converters, rule chain, profile and integration by the same REST calls that a user would send. What is there already is left as it is, so that
 * a start which was cut off is completed by the next one.
 */
export async function installDemo(call: Call, brokerPort: number): Promise<void> {
  const named = async (list: string, name: string, create: () => ReturnType<Call>) => {
    const { data } = await call('GET', `${list}?pageSize=100&page=0&textSearch=${encodeURIComponent(name)}`);
    return data.find((entity: { name: string }) => entity.name === name) ?? (await create());
  };
  const converter = (name: string, type: string, script: object) =>
    named('/api/converters', name, () => call('POST', '/api/converter', { name, type, configuration: { scriptLang: 'JS', ...script } }));
  const uplink = await converter('Demo uplink', 'UPLINK', { decoder: DECODER });
  const downlink = await converter('Demo downlink', 'DOWNLINK', { encoder: ENCODER });
  const integration = await named('/api/integrations', DEMO_INTEGRATION, () =>
    call('POST', '/api/integration', {
      name: DEMO_INTEGRATION,
      type: 'MQTT',
      // Connects when everything else is there.
      enabled: false,
      allowCreateDevicesOrAssets: true,
      defaultConverterId: uplink.id,
      downlinkConverterId: downlink.id,
      configuration: {
        clientConfiguration: { host: '127.0.0.1', port: brokerPort, cleanSession: false, clientId: '', credentials: { type: 'anonymous' } },
        topicFilters: [{ filter: 'demo/+/up', qos: 1 }],
        downlinkTopicPattern: '${topic}',
      },
    }),
  );
  const chain = await named('/api/ruleChains', CHAIN, () =>
    call('POST', '/api/ruleChain', {
      name: CHAIN,
      type: 'CORE',
      additionalInfo: { description: 'Saves what comes in; sends changed settings and RPCs to the device.' },
    }),
  );
  await call('POST', '/api/ruleChain/metadata', { ruleChainId: chain.id, ...graph(integration.id.id) });
  await named('/api/deviceProfiles', PROFILE, () =>
    call('POST', '/api/deviceProfile', {
      name: PROFILE,
      type: 'DEFAULT',
      transportType: 'DEFAULT',
      defaultRuleChainId: chain.id,
      profileData: { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' } },
    }),
  );
  await call('POST', '/api/integration', { ...integration, enabled: true });
}

function graph(integrationId: string) {
  const node = (type: string, name: string, configurationVersion: number, configuration: object, layoutX: number, layoutY: number) => ({
    ...{ type: `${NS}.${type}`, name, configurationVersion, configuration, singletonMode: false, queueName: null },
    debugSettings: { failuresEnabled: true, allEnabled: true, allEnabledUntil: 0 },
    additionalInfo: { layoutX, layoutY, description: '' },
  });
  const always = { type: 'ON_EVERY_MESSAGE' };
  return {
    firstNodeIndex: 0,
    nodes: [
      node('filter.TbMsgTypeSwitchNode', 'Message type', 0, { version: 0 }, 350, 150),
      node('telemetry.TbMsgTimeseriesNode', 'Save telemetry', 1, { defaultTTL: 0, useServerTs: false, processingSettings: always }, 700, 50),
      node(
        ...(['telemetry.TbMsgAttributesNode', 'Save attributes', 3] as const),
        {
          ...{ processingSettings: always, scope: 'CLIENT_SCOPE', notifyDevice: false },
          ...{ sendAttributesUpdatedNotification: false, updateAttributesOnlyOnValueChange: true },
        },
        ...([700, 150] as const),
      ),
      node('integration.TbIntegrationDownlinkNode', 'To the device', 0, { integrationId }, 700, 250),
    ],
    connections: [
      { fromIndex: 0, toIndex: 1, type: 'Post telemetry' },
      { fromIndex: 0, toIndex: 2, type: 'Post attributes' },
      { fromIndex: 0, toIndex: 3, type: 'Attributes Updated' },
      { fromIndex: 0, toIndex: 3, type: 'RPC Request to Device' },
    ],
  };
}
