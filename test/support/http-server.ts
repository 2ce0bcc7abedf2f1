import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Seen {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as they came. */
  readonly headers: readonly string[];
  readonly body: string;
}

export type Reply = (response: ServerResponse, request: IncomingMessage) => void;

/** Node's own HTTP server on loopback: what came is compared byte by byte. */
export interface HttpServer {
  /** `http://127.0.0.1:PORT` */
  readonly base: string;
  /** Oldest first. */
  readonly seen: Seen[];
  readonly sockets: Socket[];
  answerWith(reply: Reply): void;
  close(): void;
}

export async function startHttp(): Promise<HttpServer> {
  const seen: Seen[] = [];
  const sockets: Socket[] = [];
  let answer: Reply = (response) => void response.end();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen.push({ method: request.method!, url: request.url!, headers: request.rawHeaders, body: Buffer.concat(chunks).toString() });
    answer(response, request);
  }).on('connection', (socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    sockets,
    answerWith(reply) {
      answer = reply;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
