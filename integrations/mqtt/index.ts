import { defineIntegration } from '#engine/integration.ts';
import { checkMqtt, type MqttOptions, openMqtt } from '../shared/mqtt-client.ts';
import { credentialOptions } from '../shared/mqtt-config.ts';
import { toTopic, toUplink } from './codec.ts';
import { MqttConfig } from './config.ts';

const clientIdOf = (integrationId: string): string => `fb-${integrationId}`;

function options({ clientConfiguration: client }: MqttConfig, integrationId: string): MqttOptions {
  return {
    host: client.host,
    port: client.port,
    // Certificates mean nothing without TLS.
    ssl: client.ssl || client.credentials.type === 'cert.PEM',
    protocolVersion: client.protocolVersion as MqttOptions['protocolVersion'],
    clientId: client.clientId || clientIdOf(integrationId),
    clean: client.cleanSession,
    connectTimeoutMs: Math.min(client.connectTimeoutSec, 10) * 1000,
    ...credentialOptions(client.credentials),
  };
}

export default defineIntegration({
  type: 'MQTT',
  version: 1,
  label: 'MQTT',
  summary: 'Subscribes to topics of an MQTT 3.1, 3.1.1 or 5 broker and publishes downlinks.',
  config: MqttConfig,
  metadata: { topic: 'topic of the packet', retained: '"true" when the broker sent a retained message' },
  downlink: 'now',
  droppedWarning: 'clientId is used by another client?',
  async connect(config, info, uplinks, signal) {
    const { maxBytesInMessage, retainedMessage } = config.clientConfiguration;
    const topics = config.topicFilters as { filter: string; qos: 0 | 1 | 2 }[];
    const connection = await openMqtt(options(config, info.id), topics, (packet, at) => toUplink(packet, maxBytesInMessage, at), uplinks, signal);
    return {
      async send(downlink) {
        await connection.publish(toTopic(config.downlinkTopicPattern, downlink), downlink.data, retainedMessage);
        return 'delivered';
      },
      close: () => connection.close(),
    };
  },
  check: (config, info, signal) => checkMqtt(options(config, info.id), signal),
  hosts: ({ clientConfiguration }) => [clientConfiguration.host],
  warnings: ({ clientConfiguration: client }) => [
    ...(client.cleanSession ? ['messages during an outage are lost'] : []),
    ...(client.ssl && client.port === 1883 ? ['port 1883 is usually without TLS'] : []),
  ],
  complete(config, info) {
    const client = config['clientConfiguration'];
    if (typeof client !== 'object' || client === null) return config;
    const stored = client as Record<string, unknown>;
    return {
      ...config,
      clientConfiguration: { ...stored, cleanSession: stored['cleanSession'] ?? false, clientId: stored['clientId'] || clientIdOf(info.id) },
    };
  },
});
