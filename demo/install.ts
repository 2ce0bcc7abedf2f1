import { DEVICE_NAME, DOWN_TOPIC } from './device.ts';

const NS = 'org.thingsboard.rule.engine';
const PROFILE = 'greenhouse sensor';
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

// biome-ignore lint/suspicious/noExplicitAny: answers of our own REST API
type Post = (path: string, body?: unknown) => Promise<any>;

const at = (layoutX: number, layoutY: number) => ({ layoutX, layoutY, description: '' });

/** Makes the demo's converters, integration, rule chain and profile by the same REST calls that a user would send. Once, in a fresh data folder. */
export async function installDemo(post: Post, brokerPort: number): Promise<void> {
  const uplink = await post('/api/converter', { name: 'Demo uplink', type: 'UPLINK', configuration: { scriptLang: 'JS', decoder: DECODER } });
  const downlink = await post('/api/converter', { name: 'Demo downlink', type: 'DOWNLINK', configuration: { scriptLang: 'JS', encoder: ENCODER } });
  const integration = await post('/api/integration', {
    name: DEMO_INTEGRATION,
    type: 'MQTT',
    enabled: true,
    allowCreateDevicesOrAssets: true,
    defaultConverterId: uplink.id,
    downlinkConverterId: downlink.id,
    configuration: {
      clientConfiguration: { host: '127.0.0.1', port: brokerPort, cleanSession: false, clientId: '', credentials: { type: 'anonymous' } },
      topicFilters: [{ filter: 'demo/+/up', qos: 1 }],
      downlinkTopicPattern: '${topic}',
    },
  });
  const chain = await post('/api/ruleChain', {
    name: 'Demo greenhouse chain',
    type: 'CORE',
    additionalInfo: { description: 'Saves what comes in; sends changed settings and RPCs to the device.' },
  });
  const saved = {
    configurationVersion: 0,
    debugSettings: { failuresEnabled: true, allEnabled: true, allEnabledUntil: 0 },
    singletonMode: false,
    queueName: null,
  };
  await post('/api/ruleChain/metadata', {
    ruleChainId: chain.id,
    firstNodeIndex: 0,
    nodes: [
      { ...saved, type: `${NS}.filter.TbMsgTypeSwitchNode`, name: 'Message type', configuration: { version: 0 }, additionalInfo: at(350, 150) },
      {
        ...saved,
        type: `${NS}.telemetry.TbMsgTimeseriesNode`,
        name: 'Save telemetry',
        configurationVersion: 1,
        configuration: { defaultTTL: 0, useServerTs: false, processingSettings: { type: 'ON_EVERY_MESSAGE' } },
        additionalInfo: at(700, 50),
      },
      {
        ...saved,
        type: `${NS}.telemetry.TbMsgAttributesNode`,
        name: 'Save attributes',
        configurationVersion: 3,
        additionalInfo: at(700, 150),
        configuration: {
          processingSettings: { type: 'ON_EVERY_MESSAGE' },
          scope: 'CLIENT_SCOPE',
          notifyDevice: false,
          sendAttributesUpdatedNotification: false,
          updateAttributesOnlyOnValueChange: true,
        },
      },
      {
        ...saved,
        type: `${NS}.integration.TbIntegrationDownlinkNode`,
        name: 'To the device',
        configuration: { integrationId: integration.id.id },
        additionalInfo: at(700, 250),
      },
    ],
    connections: [
      { fromIndex: 0, toIndex: 1, type: 'Post telemetry' },
      { fromIndex: 0, toIndex: 2, type: 'Post attributes' },
      { fromIndex: 0, toIndex: 3, type: 'Attributes Updated' },
      { fromIndex: 0, toIndex: 3, type: 'RPC Request to Device' },
    ],
  });
  await post('/api/deviceProfile', {
    name: PROFILE,
    type: 'DEFAULT',
    transportType: 'DEFAULT',
    defaultRuleChainId: chain.id,
    profileData: { configuration: { type: 'DEFAULT' }, transportConfiguration: { type: 'DEFAULT' } },
  });
}
