import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { credentials, tlsOf } from '../../shared/credentials.ts';
import { checkPem } from '../../shared/http.ts';
import { clientIdOf, connectTimeoutOf, MQTT_DEFAULTS, mqttFields, openMqtt } from '../../shared/mqtt.ts';
import { publishing } from '../../shared/mqtt-publish.ts';

/** QoS 1: Success is the broker's PUBACK. The connection is opened by the first message and not at the start: a broker that is away makes messages wait, not the node useless. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.mqtt.TbMqttNode',
  version: 2,
  family: 'EXTERNAL',
  label: 'mqtt',
  summary: 'Publishes the message data to an MQTT broker.',
  relations: ['Success'],
  effect: true,
  config: Config({ ...mqttFields, credentials }),
  defaults: { ...MQTT_DEFAULTS, credentials: { type: 'anonymous' } },
  upgrades: [(config) => ({ parseToPlainText: false, ...config }), (config) => ({ protocolVersion: 'MQTT_3_1', ...config })],
  async start({ config, node }) {
    if (!config.host) throw new Error('MQTT broker host must be set!');
    if (config.topicPattern === null) throw new Error('MQTT topic must be set!');
    const protocolVersion = config.protocolVersion ?? 'MQTT_3_1_1';
    const clientId = clientIdOf(config, protocolVersion, node.serviceId);
    const tls = tlsOf(config.credentials);
    if (config.ssl) await checkPem(tls);
    return openMqtt({
      ...{ host: config.host, port: config.port, tls: config.ssl ? tls : null, protocolVersion, clientId, clean: config.cleanSession },
      connectTimeoutMs: connectTimeoutOf(config),
      login() {
        const { credentials: given } = config;
        return given?.type === 'basic' ? { username: given.username ?? '', password: given.password ?? '' } : {};
      },
    });
  },
  ...publishing,
});
