import { createHmac } from 'node:crypto';

/** How a device shows itself to Azure IoT Hub over MQTT (Microsoft Learn: "Communicate with an IoT hub using MQTT", "Control access by using shared access signatures"). */

/** Latest version of the device API that Microsoft documents for MQTT. */
const API_VERSION = '2021-04-12';
export const TOKEN_SECONDS = 3600;

export const azureUsername = (host: string, deviceId: string): string => `${host}/${deviceId}/?api-version=${API_VERSION}`;

/** @param key Base64. @param expiresAt Unix seconds. */
export function sasToken(host: string, deviceId: string, key: string, expiresAt: number): string {
  const resource = encodeURIComponent(`${host}/devices/${deviceId}`);
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(`${resource}\n${expiresAt}`).digest('base64');
  return `SharedAccessSignature sr=${resource}&sig=${encodeURIComponent(signature)}&se=${expiresAt}`;
}
