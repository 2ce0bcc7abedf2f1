import { randomInt } from 'node:crypto';
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

  has(key: string): boolean {
    return this.waiting.has(key);
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

/** What the other processes need of those who wait here (`waiting-shared.ts`). */
export interface LocalWaiting extends Waiting {
  /** @returns false: nobody waits for it in this process. */
  answerRest(requestUUID: string, data: string): boolean;
  answerRpc(requestUUID: string, answer: RpcAnswer): boolean;
  /** @returns false: the session is not in this process. */
  replyToDevice(sessionId: string, requestId: string, data: string): boolean;
  /** The id of the next request to this device. */
  nextId(deviceId: string): number;
  /** Gives a request to the sessions here. False: there is none that takes it. */
  offer(deviceId: string, request: DeviceRequest): boolean;
  /** The device's answer to a request; TIMEOUT at its deadline. */
  deviceAnswer(request: RpcRequest, id: number): Promise<RpcAnswer>;
  /** A session somewhere has the request and has not answered. */
  markTaken(requestUUID: string, isTaken: boolean): void;
}

export type DeviceRequest = Parameters<NonNullable<DeviceSession['onRpc']>>[0];

export interface WaitingOptions {
  /** Other processes number their requests to a device too: the numbers begin anywhere, so that they do not meet. */
  readonly shared?: boolean;
}

/** Above this a request id is no int32 any more, which devices may read it as. */
const HIGHEST_FIRST_ID = 2 ** 30;

/** Who waits in this process: REST callers for the chain's reply or an RPC's answer, and device sessions for requests and changes. */
export function createWaiting({ shared = false }: WaitingOptions = {}): LocalWaiting {
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

  function nextId(deviceId: string): number {
    const id = nextRequestId.get(deviceId) ?? (shared ? randomInt(HIGHEST_FIRST_ID) : 0);
    nextRequestId.set(deviceId, id + 1);
    return id;
  }

  function offer(deviceId: string, request: DeviceRequest): boolean {
    const takers = sessionsOf(deviceId).filter((session) => session.onRpc);
    // All of them, as ThingsBoard does: of two sessions one may be the dead half of a reconnect.
    for (const session of takers) session.onRpc?.(request);
    return takers.length > 0;
  }

  const deviceAnswer = ({ deviceId, expiresAt }: RpcRequest, id: number): Promise<RpcAnswer> =>
    calls.wait(callKey(deviceId, id), expiresAt - Date.now(), () => ({ ok: false, error: 'TIMEOUT' }));

  async function callDevice(request: RpcRequest): Promise<RpcAnswer> {
    const { deviceId, requestUUID, method, params, oneway } = request;
    if (!sessionsOf(deviceId).some((session) => session.onRpc)) return { ok: false, error: 'NO_ACTIVE_CONNECTION' };
    const id = nextId(deviceId);
    const answer = oneway ? Promise.resolve<RpcAnswer>({ ok: true, data: null }) : deviceAnswer(request, id);
    if (!oneway) taken.add(requestUUID);
    offer(deviceId, { id, method, params });
    const result = await answer;
    taken.delete(requestUUID);
    return result;
  }

  return {
    restReply: (requestUUID, timeoutMs) => replies.wait(requestUUID, timeoutMs, () => null),
    answerRest: (requestUUID, data) => replies.answer(requestUUID, data),

    rpcAnswer: (requestUUID, timeoutMs, twoWay = false) =>
      answers.wait(
        requestUUID,
        timeoutMs,
        () => ({ ok: false, error: taken.has(requestUUID) ? 'TIMEOUT' : 'NO_ACTIVE_CONNECTION' }),
        (answer) => (answer.ok ? !twoWay || answer.data !== null : answer.error !== 'NO_ACTIVE_CONNECTION'),
      ),
    answerRpc: (requestUUID, answer) => answers.answer(requestUUID, answer),
    markTaken(requestUUID, isTaken) {
      if (!isTaken) taken.delete(requestUUID);
      else if (answers.has(requestUUID)) taken.add(requestUUID);
    },

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
    nextId,
    offer,
    deviceAnswer,
    callDevice,
    answerDeviceCall: (deviceId, requestId, data) => calls.answer(callKey(deviceId, requestId), { ok: true, data }),
    notifyAttributes(deviceId: string, change: AttributeChange) {
      for (const session of sessionsOf(deviceId)) session.onAttributes?.(change);
    },
    replyToDevice(sessionId, requestId, data) {
      const session = sessionById.get(sessionId);
      session?.onReply?.(requestId, data);
      return session !== undefined;
    },

    close() {
      for (const waiting of [replies, answers, calls]) waiting.close();
    },
  };
}
