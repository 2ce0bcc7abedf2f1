import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/**
 * Load generators that cost little beside what they load: MQTT 3.1.1 packets written by hand into one buffer a turn, HTTP/1.1 over kept sockets.
 */

export interface Publication {
  readonly topic: string;
  readonly payload: string;
}

export interface PublishOptions {
  readonly count: number;
  /** Open loop: messages leave at this rate whatever happens. Absent: as fast as the window allows. */
  readonly perSecond?: number;
  /** Unacknowledged messages at the most, when not paced. Default 2000. */
  readonly window?: number;
  readonly make: (i: number) => Publication;
  readonly signal?: AbortSignal;
  /** Called at each PUBACK with the index of its message. */
  readonly acknowledged?: (i: number) => void;
}

const PACKET = { CONNECT: 0x10, CONNACK: 2, PUBACK: 4 } as const;

function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  do {
    const digit = length % 128;
    length = Math.floor(length / 128);
    bytes.push(length > 0 ? digit | 0x80 : digit);
  } while (length > 0);
  return bytes;
}

/** QoS 1 PUBLISH (MQTT 3.1.1 §3.3). */
export function publishPacket({ topic, payload }: Publication, packetId: number): Buffer {
  const topicSize = Buffer.byteLength(topic);
  const payloadSize = Buffer.byteLength(payload);
  const header = lengthBytes(2 + topicSize + 2 + payloadSize);
  const packet = Buffer.allocUnsafe(1 + header.length + 2 + topicSize + 2 + payloadSize);
  let at = packet.writeUInt8(0x32, 0);
  for (const byte of header) at = packet.writeUInt8(byte, at);
  at = packet.writeUInt16BE(topicSize, at);
  at += packet.write(topic, at);
  at = packet.writeUInt16BE(packetId, at);
  packet.write(payload, at);
  return packet;
}

/** Splits a stream of MQTT packets: calls back with type (high nibble), flags and body. */
export function packetReader(onPacket: (type: number, flags: number, body: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const data = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let at = 0;
    while (at + 2 <= data.length) {
      let length = 0;
      let shift = 0;
      let head = at + 1;
      let byte = 0x80;
      while (byte & 0x80 && head < data.length) {
        byte = data[head++]!;
        length += (byte & 0x7f) << shift;
        shift += 7;
      }
      if (byte & 0x80 || head + length > data.length) break;
      onPacket(data[at]! >> 4, data[at]! & 15, data.subarray(head, head + length));
      at = head + length;
    }
    rest = data.subarray(at);
  };
}

export interface Publisher {
  /** Publishes all and resolves when the broker acknowledged all, or the signal ended it. Gives how many were acknowledged. */
  publish(options: PublishOptions): Promise<number>;
  close(): void;
}

export async function connectPublisher(port: number, clientId: string): Promise<Publisher> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const id = Buffer.from(clientId);
  const body = Buffer.concat([Buffer.from([0, 4]), Buffer.from('MQTT'), Buffer.from([4, 2, 0, 0, id.length >> 8, id.length & 255]), id]);
  socket.write(Buffer.concat([Buffer.from([PACKET.CONNECT, ...lengthBytes(body.length)]), body]));
  let onAck: (packetId: number) => void = () => {};
  const connected = Promise.withResolvers<void>();
  socket.on(
    'data',
    packetReader((type, _flags, packet) => {
      if (type === PACKET.CONNACK) connected.resolve();
      else if (type === PACKET.PUBACK) onAck(packet.readUInt16BE(0));
    }),
  );
  let failed: Error | null = null;
  let onFailure: (cause: Error) => void = () => {};
  socket.on('error', (cause) => {
    failed = cause;
    onFailure(cause);
    connected.reject(cause);
  });
  socket.on('close', () => onFailure(failed ?? new Error('the broker closed the connection')));
  await connected.promise;

  return {
    publish: ({ count, perSecond, window = 2000, make, signal, acknowledged }) =>
      new Promise<number>((resolve, reject) => {
        const inFlight = new Map<number, number>();
        let next = 0;
        let done = 0;
        let packetId = 0;
        let blocked = false;
        const begin = performance.now();
        const finish = () => {
          clearInterval(timer);
          socket.off('drain', onDrain);
          onAck = () => {};
          onFailure = () => {};
          resolve(done);
        };
        const pump = () => {
          if (signal?.aborted) return finish();
          const due = perSecond === undefined ? count : Math.min(count, Math.floor(((performance.now() - begin) / 1000) * perSecond));
          // Packet ids have 16 bits: an open loop is stopped by that alone.
          const limit = perSecond === undefined ? window : 60_000;
          while (!blocked && next < due && inFlight.size < limit) {
            const packets: Buffer[] = [];
            while (packets.length < 64 && next < due && inFlight.size < limit) {
              do packetId = (packetId % 65_535) + 1;
              while (inFlight.has(packetId));
              inFlight.set(packetId, next);
              packets.push(publishPacket(make(next++), packetId));
            }
            blocked = !socket.write(Buffer.concat(packets));
          }
        };
        onAck = (ack) => {
          const index = inFlight.get(ack);
          if (index === undefined) return;
          inFlight.delete(ack);
          done++;
          acknowledged?.(index);
          if (done === count) finish();
          else if (perSecond === undefined && inFlight.size < window / 2) pump();
        };
        onFailure = (cause) => {
          clearInterval(timer);
          socket.off('drain', onDrain);
          reject(cause);
        };
        const onDrain = () => {
          blocked = false;
          pump();
        };
        socket.on('drain', onDrain);
        const timer = setInterval(pump, 1);
        if (count === 0) finish();
        else pump();
      }),
    close: () => {
      onFailure = () => {};
      socket.end(Buffer.from([0xe0, 0]));
    },
  };
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** One kept HTTP/1.1 connection, one request at a time. */
export class HttpConnection {
  private readonly socket: Socket;
  private rest = '';
  private answer: PromiseWithResolvers<HttpAnswer> | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => this.read(String(chunk)));
    socket.on('error', (cause) => this.answer?.reject(cause));
    socket.on('close', () => this.answer?.reject(new Error('the server closed the connection')));
  }

  static async open(port: number): Promise<HttpConnection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new HttpConnection(socket);
  }

  /** @param head everything before the empty line, but for `content-length`. */
  send(head: string, body: string): Promise<HttpAnswer> {
    this.answer = Promise.withResolvers();
    this.socket.write(`${head}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    return this.answer.promise;
  }

  private read(chunk: string): void {
    this.rest += chunk;
    const end = this.rest.indexOf('\r\n\r\n');
    if (end < 0) return;
    const head = this.rest.slice(0, end).toLowerCase();
    const status = Number(head.slice(9, 12));
    const length = status === 204 ? 0 : Number(head.match(/content-length: *(\d+)/)?.[1] ?? 0);
    if (this.rest.length < end + 4 + length) return;
    const body = this.rest.slice(end + 4, end + 4 + length);
    this.rest = this.rest.slice(end + 4 + length);
    const { answer } = this;
    this.answer = null;
    answer?.resolve({ status, body });
  }

  close(): void {
    this.answer = null;
    this.socket.destroy();
  }
}

export const requestHead = (method: string, path: string, headers: Record<string, string> = {}): string =>
  [`${method} ${path} HTTP/1.1`, 'host: 127.0.0.1', ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join('\r\n');
