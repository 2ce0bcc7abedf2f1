/** A field device with a payload format of its own, as they come: temperature int16 0.1 °C, humidity uint8 %, battery uint16 mV, all big endian. */
export const DEVICE_NAME = 'Greenhouse 1';
export const UP_TOPIC = 'demo/greenhouse-1/up';
export const DOWN_TOPIC = 'demo/greenhouse-1/down';
const DEFAULT_PERIOD_S = 5;

export interface DemoDevice {
  close(): Promise<void>;
}

/**
 * Publishes every few seconds. A downlink of one byte is its new period in seconds (1-255); its next payload carries the period as sixth byte,
 * so that the change is seen to have arrived.
 */
export async function startDevice(brokerPort: number): Promise<DemoDevice> {
  const { default: mqtt } = await import('mqtt');
  const client = mqtt.connect(`mqtt://127.0.0.1:${brokerPort}`, { clientId: 'demo-greenhouse-1' });
  let periodS = DEFAULT_PERIOD_S;
  let timer: NodeJS.Timeout | undefined;
  const startedAt = Date.now();

  function talk(): void {
    const hours = (Date.now() - startedAt) / 3_600_000;
    const payload = Buffer.alloc(6);
    payload.writeInt16BE(Math.round((21 + 4 * Math.sin(hours * Math.PI * 12) + Math.random() * 0.4) * 10), 0);
    payload.writeUInt8(Math.round(62 + 8 * Math.cos(hours * Math.PI * 12)), 2);
    payload.writeUInt16BE(3600 - Math.round(hours), 3);
    payload.writeUInt8(periodS, 5);
    if (client.connected) client.publish(UP_TOPIC, payload, { qos: 1 });
  }
  function setPeriod(seconds: number): void {
    periodS = seconds;
    clearInterval(timer);
    timer = setInterval(talk, periodS * 1000);
    talk();
  }
  client.on('connect', () => {
    client.subscribe(DOWN_TOPIC, { qos: 1 });
    setPeriod(periodS);
  });
  client.on('message', (_topic, payload) => {
    if (payload.length === 1 && payload[0]! > 0) setPeriod(payload[0]!);
  });
  // Away from its broker a device just tries again; the client does so by itself.
  client.on('error', () => undefined);
  return {
    async close() {
      clearInterval(timer);
      await client.endAsync(true);
    },
  };
}
