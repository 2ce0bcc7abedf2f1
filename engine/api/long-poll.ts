import { randomUUID } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { DeviceSession, Waiting } from '../control.ts';

type Listeners = Partial<Pick<DeviceSession, 'onRpc' | 'onAttributes' | 'onReply'>>;

export interface LongPoll {
  readonly deviceId: string;
  readonly timeoutMs: number;
  readonly sessionId?: string;
}

/** Requests of devices that are answered when something happens. */
export interface LongPolls {
  /** Resolves with the first answer; with null at the deadline, when the client hangs up, or when the server stops. The device has a session meanwhile. */
  wait(reply: FastifyReply, poll: LongPoll, listen: (answer: (text: string) => void) => Listeners): Promise<string | null>;
  close(): void;
}

export function createLongPolls(waiting: Waiting): LongPolls {
  const open = new Set<() => void>();
  let closed = false;
  return {
    wait(reply, { deviceId, timeoutMs, sessionId = randomUUID() }, listen) {
      if (closed) return Promise.resolve(null);
      return new Promise((resolve) => {
        const stop = () => finish(null);
        const finish = (text: string | null) => {
          if (!open.delete(stop)) return;
          endSession();
          clearTimeout(timer);
          reply.raw.off('close', stop);
          resolve(text);
        };
        open.add(stop);
        const timer = setTimeout(stop, timeoutMs);
        reply.raw.once('close', stop);
        const endSession = waiting.openSession({ id: sessionId, deviceId, onRpc: null, onAttributes: null, onReply: null, ...listen(finish) });
      });
    },
    close() {
      closed = true;
      for (const stop of open) stop();
    },
  };
}
