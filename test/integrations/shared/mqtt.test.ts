import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import mqttPacket from 'mqtt-packet';
import { NotDurable } from '#engine/errors.ts';
import { acknowledgeAfter, connected } from '#integrations/shared/mqtt.ts';
import { eventually, within } from '#test/support/wait.ts';

/** A broker of a few lines, because the test needs to see each write of the client on its own. */
async function startBroker() {
  const server = createServer({ noDelay: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const writes: string[][] = [];
  let closed = false;
  let socket: Socket;
  server.on('connection', (peer) => {
    socket = peer;
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    let names: string[] = [];
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connect') peer.write(mqttPacket.generate({ cmd: 'connack', returnCode: 0, sessionPresent: false }));
      else names.push('messageId' in packet ? `${packet.cmd} ${packet.messageId}` : packet.cmd);
    });
    peer.on('data', (bytes) => {
      names = [];
      parser.parse(bytes);
      if (names.length > 0) writes.push(names);
    });
    peer.on('close', () => {
      closed = true;
    });
    peer.on('error', () => {});
  });
  return {
    port: (server.address() as { port: number }).port,
    writes,
    acks: () => writes.flat(),
    get closed() {
      return closed;
    },
    publish: (...messages: { id: number; qos?: 0 | 1 | 2; dup?: boolean }[]) =>
      socket.write(
        Buffer.concat(
          messages.map(({ id, qos = 1, dup = false }) =>
            mqttPacket.generate({ cmd: 'publish', topic: 'a', payload: String(id), qos, dup, retain: false, messageId: qos === 0 ? undefined : id }),
          ),
        ),
      ),
    pubrel: (id: number) => socket.write(mqttPacket.generate({ cmd: 'pubrel', messageId: id })),
    async close() {
      socket?.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

type Broker = Awaited<ReturnType<typeof startBroker>>;
interface Bench {
  readonly broker: Broker;
  readonly client: MqttClient;
  /** By payload: what `accept` waits for. */
  readonly asked: Map<string, { resolve: (value: unknown) => void; reject: (cause: unknown) => void }>;
  readonly order: string[];
  readonly lost: unknown[];
  readonly drained: () => Promise<void>;
}

async function withClient(body: (bench: Bench) => Promise<void>, maxInFlight?: number): Promise<void> {
  const broker = await startBroker();
  const client = mqtt.connect({
    protocol: 'mqtt',
    host: '127.0.0.1',
    port: broker.port,
    clientId: 'c',
    clean: false,
    reconnectPeriod: 0,
    manualConnect: true,
  });
  const asked: Bench['asked'] = new Map();
  const order: string[] = [];
  const lost: unknown[] = [];
  const { drained } = acknowledgeAfter(
    client,
    (packet) => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      asked.set(packet.payload.toString(), { resolve, reject });
      order.push(packet.payload.toString());
      return promise;
    },
    (cause) => lost.push(cause),
    { maxInFlight },
  );
  try {
    const open = connected(client, AbortSignal.timeout(5000));
    client.connect();
    await open;
    await body({ broker, client, asked, order, lost, drained });
  } finally {
    client.end(true);
    await broker.close();
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

test('mqtt acknowledging: nothing before it is durable, and the parser goes on', () =>
  withClient(async ({ broker, asked }) => {
    broker.publish({ id: 1 }, { id: 2 }, { id: 3 });
    await eventually(() => asked.size === 3, 'three messages');
    await turn();
    assert.deepEqual(broker.acks(), []);
  }));

test('mqtt acknowledging: in arrival order, whatever became durable first', () =>
  withClient(async ({ broker, asked }) => {
    broker.publish({ id: 7 }, { id: 5 }, { id: 6 });
    await eventually(() => asked.size === 3, 'three messages');
    asked.get('6')!.resolve(null);
    asked.get('5')!.resolve(null);
    await turn();
    assert.deepEqual(broker.acks(), []);
    asked.get('7')!.resolve(null);
    await eventually(() => broker.acks().length === 3, 'the acknowledgements');
    assert.deepEqual(broker.acks(), ['puback 7', 'puback 5', 'puback 6']);
  }));

test('mqtt acknowledging: what became durable together is one write', () =>
  withClient(async ({ broker, asked }) => {
    broker.publish(...Array.from({ length: 50 }, (_, i) => ({ id: i + 1 })));
    await eventually(() => asked.size === 50, 'fifty messages');
    for (const { resolve } of asked.values()) resolve(null);
    await eventually(() => broker.acks().length === 50, 'the acknowledgements');
    assert.equal(broker.writes.length, 1);
  }));

test('mqtt acknowledging: a failed commit hangs up, and nothing behind it is acknowledged', () =>
  withClient(async ({ broker, asked, lost }) => {
    broker.publish({ id: 1 }, { id: 2 }, { id: 3 });
    await eventually(() => asked.size === 3, 'three messages');
    const cause = new NotDurable(new Error('disk full'));
    asked.get('1')!.resolve(null);
    await eventually(() => broker.acks().length === 1, 'the first acknowledgement');
    asked.get('2')!.reject(cause);
    asked.get('3')!.resolve(null);
    await eventually(() => broker.closed, 'the end of the connection');
    assert.deepEqual([broker.acks(), lost], [['puback 1'], [cause]]);
  }));

test('mqtt acknowledging: QoS 2 is recorded once, repeated or not', () =>
  withClient(async ({ broker, asked, order }) => {
    broker.publish({ id: 9, qos: 2 });
    await eventually(() => asked.size === 1, 'the message');
    await turn();
    assert.deepEqual(broker.acks(), []);
    asked.get('9')!.resolve(null);
    await eventually(() => broker.acks().length === 1, 'PUBREC');
    broker.publish({ id: 9, qos: 2, dup: true });
    await eventually(() => broker.acks().length === 2, 'the second PUBREC');
    broker.pubrel(9);
    await eventually(() => broker.acks().length === 3, 'PUBCOMP');
    broker.publish({ id: 9, qos: 2 });
    await eventually(() => order.length === 2, 'the next message of this id');
    assert.deepEqual(
      [broker.acks(), order],
      [
        ['pubrec 9', 'pubrec 9', 'pubcomp 9'],
        ['9', '9'],
      ],
    );
  }));

test('mqtt acknowledging: over its limit it leaves the rest in the socket', () =>
  withClient(async ({ broker, asked, order }) => {
    broker.publish(...Array.from({ length: 10 }, (_, i) => ({ id: i + 1, qos: 0 as const })));
    await eventually(() => order.length === 4, 'as many as allowed');
    await turn();
    assert.equal(order.length, 4);
    for (const id of ['1', '2']) asked.get(id)!.resolve(null);
    await eventually(() => order.length === 6, 'two more');
    for (const id of ['3', '4', '5', '6']) asked.get(id)!.resolve(null);
    await eventually(() => order.length === 10, 'the rest');
  }, 4));

test('mqtt acknowledging: draining waits for what was accepted, and takes no more', () =>
  withClient(async ({ broker, asked, order, drained }) => {
    broker.publish({ id: 1 });
    await eventually(() => asked.size === 1, 'a message');
    const done = drained();
    broker.publish({ id: 2 }, { id: 3 });
    await turn();
    asked.get('1')!.resolve(null);
    for (const id of ['2']) asked.get(id)?.resolve(null);
    await within(done, 'the drain');
    await eventually(() => broker.acks().length >= 1, 'its acknowledgement');
    assert.ok(order.length <= 2, 'the parser was stopped');
  }));
