import { Type } from 'typebox';
import { defineNode } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import { azureUsername, sasToken, TOKEN_SECONDS } from '../../shared/azure-sas.ts';
import { Anonymous, Basic, CertPem, Sas, tlsOf } from '../../shared/credentials.ts';
import { nullable } from '../../shared/fields.ts';
import { checkPem } from '../../shared/http.ts';
import { clientIdOf, connectTimeoutOf, MQTT_DEFAULTS, mqttFields, openMqtt } from '../../shared/mqtt.ts';
import { publishing } from '../../shared/mqtt-publish.ts';

const PORT = 8883;

/**
 * The hub takes one login for a connection, so a token is renewed by connecting anew, at nine tenths of its time. Port 8883, TLS and a clean session are what the hub
 * speaks, whatever the configuration says.
 */
export default defineNode({
  type: 'org.thingsboard.rule.engine.mqtt.azure.TbAzureIotHubNode',
  version: 1,
  family: 'EXTERNAL',
  label: 'azure iot hub',
  summary: 'Publishes the message data to Azure IoT Hub as a device.',
  relations: ['Success'],
  effect: true,
  config: Config({
    ...mqttFields,
    clientId: nullable(Type.String(), { title: 'Device id', description: 'As the hub knows the device; its client id.' }),
    credentials: nullable(Type.Union([Sas, CertPem, Anonymous, Basic]), { title: 'Credentials', description: 'Key or certificate of the device.' }),
  }),
  defaults: {
    ...MQTT_DEFAULTS,
    topicPattern: 'devices/<device_id>/messages/events/',
    host: '<iot-hub-name>.azure-devices.net',
    port: PORT,
    ssl: true,
    credentials: { type: 'sas', sasKey: null, caCert: null, caCertFileName: null },
  },
  upgrades: [(config) => ({ protocolVersion: 'MQTT_3_1_1', ...config })],
  async start({ config: { host, topicPattern, credentials, ...config } }) {
    if (!host) throw new Error('Azure IoT Hub host must be set!');
    if (topicPattern === null) throw new Error('MQTT topic must be set!');
    const protocolVersion = config.protocolVersion ?? 'MQTT_3_1_1';
    // The hub knows the device by exactly this id.
    const clientId = clientIdOf({ ...config, appendClientIdSuffix: false }, protocolVersion, '');
    if (!clientId) throw new Error('Device id must be set!');
    const key = credentials?.type === 'sas' ? credentials.sasKey : null;
    if (credentials?.type === 'sas' && !key) throw new Error('SAS key must be set!');
    const tls = tlsOf(credentials);
    await checkPem(tls);
    const username = azureUsername(host, clientId);
    return openMqtt({
      ...{ host, port: PORT, tls, protocolVersion, clientId, clean: true, connectTimeoutMs: connectTimeoutOf(config) },
      login: () => (key ? { username, password: sasToken(host, clientId, key, Math.floor(Date.now() / 1000) + TOKEN_SECONDS) } : { username }),
      ...(key && { maxAgeMs: TOKEN_SECONDS * 900 }),
    });
  },
  ...publishing,
});
