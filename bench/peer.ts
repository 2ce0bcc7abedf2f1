import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type Publication, packetReader, publishPacket } from './load.ts';

/**
 * The broker's side of one MQTT client, in the bench itself: sees each PUBACK of the product, so that *receive → durable* can be measured from outside,
 * and offers as much as the socket takes. It keeps nothing and serves one client.
 */
export interface Peer {
  readonly port: number;
  /** Resolves when a client has subscribed. */
  subscribed(): Promise<void>;
  /** `sent` gets the time of the write, `acknowledged` that of the PUBACK; both performance.now(). False: the socket is full or all ids are in use. */
  publish(publication: Publication, acknowledged: (at: number) => void): boolean;
  /** Resolves when the socket takes more. */
  drained(): Promise<void>;
  readonly unacknowledged: number;
  close(): void;
}

const TYPE = { CONNECT: 1, PUBLISH: 3, PUBACK: 4, SUBSCRIBE: 8, PINGREQ: 12 } as const;

export async function startPeer(): Promise<Peer> {
  const waiting = new Map<number, (at: number) => void>();
  const subscription = Promise.withResolvers<void>();
  let client: Socket | null = null;
  let packetId = 0;
  let full = false;
  let drain = Promise.withResolvers<void>();

  const server = createServer({ noDelay: true }, (socket) => {
    client = socket;
    socket.on('error', () => {});
    socket.on('drain', () => {
      full = false;
      drain.resolve();
      drain = Promise.withResolvers();
    });
    socket.on(
      'data',
      packetReader((type, flags, body) => {
        if (type === TYPE.PUBACK) {
          const id = body.readUInt16BE(0);
          waiting.get(id)?.(performance.now());
          waiting.delete(id);
          if (waiting.size === 0 || waiting.size === 50_000) drain.resolve();
        } else if (type === TYPE.CONNECT) socket.write(Buffer.from([0x20, 2, 0, 0]));
        else if (type === TYPE.SUBSCRIBE) {
          const granted = countFilters(body);
          socket.write(Buffer.from([0x90, 2 + granted, body[0]!, body[1]!, ...Array<number>(granted).fill(1)]));
          subscription.resolve();
        } else if (type === TYPE.PINGREQ) socket.write(Buffer.from([0xd0, 0]));
        else if (type === TYPE.PUBLISH && (flags & 6) === 2) {
          const at = 2 + body.readUInt16BE(0);
          socket.write(Buffer.from([0x40, 2, body[at]!, body[at + 1]!]));
        }
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  return {
    port: (server.address() as { port: number }).port,
    subscribed: () => subscription.promise,
    publish(publication, acknowledged) {
      if (!client || full || waiting.size >= 60_000) return false;
      do packetId = (packetId % 65_535) + 1;
      while (waiting.has(packetId));
      waiting.set(packetId, acknowledged);
      full = !client.write(publishPacket(publication, packetId));
      return true;
    },
    drained: () => drain.promise,
    get unacknowledged() {
      return waiting.size;
    },
    close() {
      client?.destroy();
      server.close();
    },
  };
}

function countFilters(body: Buffer): number {
  let filters = 0;
  for (let at = 2; at < body.length; filters++) at += 2 + body.readUInt16BE(at) + 1;
  return filters;
}
