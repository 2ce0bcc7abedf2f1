import type { AttributeChange, DeviceSession, Waiting } from './control.ts';
import type { RpcAnswer, RpcRequest } from './services.ts';

/** Above this `setTimeout` fires at once (Node: 32-bit milliseconds). */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Promises by key, each with a deadline. */
class Deadlines<T> {
  private readonly waiting = new Map<string, { resolve: (value: T) => void; timer: NodeJS.Timeout; late: () => T; accepts: (value: T) => boolean }>();
  /** Requests that come in while the server stops do not wait either. */
  private closed = false;

  wait(key: string, delayMs: number, late: () => T, accepts: (value: T) => boolean = () => true): Promise<T> {
    if (this.closed) return Promise.resolve(late());
    this.expire(key); // callers choose request ids: a second one under the same id ends the first
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.expire(key), Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
      this.waiting.set(key, { resolve, timer, late, accepts });
    });
  }

  /** False: nobody waits, or not for such a value. */
  answer(key: string, value: T): boolean {
    const entry = this.waiting.get(key);
    if (!entry?.accepts(value)) return false;
    this.waiting.delete(key);
    clearTimeout(entry.timer);
    entry.resolve(value);
    return true;
  }

  private expire(key: string): void {
    const entry = this.waiting.get(key);
    if (!entry) return;
    this.waiting.delete(key);
    clearTimeout(entry.timer);
    entry.resolve(entry.late());
  }

  close(): void {
    this.closed = true;
    for (const key of [...this.waiting.keys()]) this.expire(key);
  }
}

/** Who waits in this process: REST callers for the chain's reply or an RPC's answer, and device sessions for requests and changes. */
export function createWaiting(): Waiting {
  const replies = new Deadlines<string | null>();
  const answers = new Deadlines<RpcAnswer>();
  const calls = new Deadlines<RpcAnswer>();
  const sessions = new Map<string, Set<DeviceSession>>();
  const sessionById = new Map<string, DeviceSession>();
  /** Next request id of a device; counts on while the process lives, so that a late answer never meets a newer request. */
  const nextRequestId = new Map<string, number>();
  /** Request UUIDs that a session took and has not answered. */
  const taken = new Set<string>();

  const sessionsOf = (deviceId: string): readonly DeviceSession[] => [...(sessions.get(deviceId) ?? [])];
  const callKey = (deviceId: string, requestId: number): string => `${deviceId}/${requestId}`;

  async function callDevice(request: RpcRequest): Promise<RpcAnswer> {
    const takers = sessionsOf(request.deviceId).filter((session) => session.onRpc);
    if (takers.length === 0) return { ok: false, error: 'NO_ACTIVE_CONNECTION' };
    const id = nextRequestId.get(request.deviceId) ?? 0;
    nextRequestId.set(request.deviceId, id + 1);
    const answer = request.oneway
      ? Promise.resolve<RpcAnswer>({ ok: true, data: null })
      : calls.wait(callKey(request.deviceId, id), request.expiresAt - Date.now(), () => ({ ok: false, error: 'TIMEOUT' }));
    if (!request.oneway) taken.add(request.requestUUID);
    // All of them, as ThingsBoard does: of two sessions one may be the dead half of a reconnect.
    for (const session of takers) session.onRpc?.({ id, method: request.method, params: request.params });
    const result = await answer;
    taken.delete(request.requestUUID);
    return result;
  }

  return {
    restReply: (requestUUID, timeoutMs) => replies.wait(requestUUID, timeoutMs, () => null),
    answerRest: (requestUUID, data) => void replies.answer(requestUUID, data),

    rpcAnswer: (requestUUID, timeoutMs, twoWay = false) =>
      answers.wait(
        requestUUID,
        timeoutMs,
        () => ({ ok: false, error: taken.has(requestUUID) ? 'TIMEOUT' : 'NO_ACTIVE_CONNECTION' }),
        (answer) => (answer.ok ? !twoWay || answer.data !== null : answer.error !== 'NO_ACTIVE_CONNECTION'),
      ),
    answerRpc: (requestUUID, answer) => void answers.answer(requestUUID, answer),

    openSession(session) {
      const ofDevice = sessions.get(session.deviceId) ?? new Set();
      sessions.set(session.deviceId, ofDevice.add(session));
      sessionById.set(session.id, session);
      return () => {
        ofDevice.delete(session);
        if (ofDevice.size === 0 && sessions.get(session.deviceId) === ofDevice) sessions.delete(session.deviceId);
        sessionById.delete(session.id);
      };
    },
    callDevice,
    answerDeviceCall: (deviceId, requestId, data) => calls.answer(callKey(deviceId, requestId), { ok: true, data }),
    notifyAttributes(deviceId: string, change: AttributeChange) {
      for (const session of sessionsOf(deviceId)) session.onAttributes?.(change);
    },
    replyToDevice: (sessionId, requestId, data) => sessionById.get(sessionId)?.onReply?.(requestId, data),

    close() {
      for (const waiting of [replies, answers, calls]) waiting.close();
    },
  };
}
