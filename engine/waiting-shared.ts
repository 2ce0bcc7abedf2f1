import { randomUUID } from 'node:crypto';
import type { Cluster } from './cluster.ts';
import type { AttributeChange, Waiting } from './control.ts';
import type { KeyValue, Value } from './json.ts';
import type { RpcAnswer, RpcRequest } from './services.ts';
import type { DeviceRequest, LocalWaiting } from './waiting.ts';

/**
 * Those who wait, over several processes: the caller is in one, the chain that answers in another, the device's session in a third. What nobody waits for here is
 * told to all; who misses it waits for his deadline, as if the answer had been late.
 */

/** How long the other processes have to say whether a session of theirs takes a request. */
const TAKE_MS = 1000;
/** For who is known to be there; a process that has just come may be missed as long. */
const PROCESSES_MS = 1000;
const SILENT_MS = 5000;

/** Words between processes, by topic. Everything in them is JSON; 64-bit integers go as text. */
interface Words {
  'waiting.rest': { requestUUID: string; data: string };
  'waiting.rpc': { requestUUID: string; answer: RpcAnswer };
  'waiting.reply': { sessionId: string; requestId: string; data: string };
  'waiting.attributes': { deviceId: string; change: AttributeChange };
  'waiting.device-answer': { deviceId: string; requestId: number; data: string };
  /** A request that looks for the device's session. */
  'waiting.call': { callId: string; deviceId: string; request: DeviceRequest };
  /** Whether a session of that process has it. */
  'waiting.call-taken': { callId: string; isTaken: boolean };
  /** For the caller by REST: it is with the device (true), or over (false). */
  'waiting.taken': { requestUUID: string; isTaken: boolean };
}

interface Call {
  /** Processes that have said no. */
  readonly refused: Set<string>;
  readonly decide: (isTaken: boolean) => void;
  mayTake: ReadonlySet<string> | null;
}

export function overProcesses(local: LocalWaiting, cluster: Cluster): Waiting {
  /** Of this process, in its words: the cluster's id changes when it was given up for a while. */
  const me = randomUUID();
  const calls = new Map<string, Call>();
  const ends: (() => void)[] = [];
  let known: { readonly at: number; readonly ids: Promise<ReadonlySet<string>> } | null = null;

  const tell = <T extends keyof Words>(topic: T, word: Words[T]): void => cluster.publish(topic, { me, word });

  function hear<T extends keyof Words>(topic: T, listener: (word: Words[T], from: string) => void): void {
    ends.push(
      cluster.subscribe(topic, (data, from) => {
        const said = data as { me: string; word: Words[T] };
        if (said.me !== me) listener(said.word, from);
      }),
    );
  }

  /** Processes that may have sessions, without this one. */
  function others(): Promise<ReadonlySet<string>> {
    if (!known || Date.now() - known.at > PROCESSES_MS) {
      const ids = cluster
        .processes()
        .then(
          (all) =>
            new Set(
              all.filter(({ id, roles, silentMs }) => id !== cluster.id() && roles.includes('api') && silentMs <= SILENT_MS).map(({ id }) => id),
            ),
        );
      known = { at: Date.now(), ids };
      ids.catch(() => {
        known = null;
      });
    }
    return known.ids;
  }

  function decideIfAllRefused(call: Call): void {
    if (call.mayTake && [...call.mayTake].every((id) => call.refused.has(id))) call.decide(false);
  }

  /** Resolves with whether a session of another process has it. */
  function offerToOthers(deviceId: string, request: DeviceRequest): Promise<boolean> {
    const callId = randomUUID();
    return new Promise((resolve) => {
      const decide = (isTaken: boolean): void => {
        clearTimeout(timer);
        calls.delete(callId);
        resolve(isTaken);
      };
      const timer = setTimeout(() => decide(false), TAKE_MS);
      const call: Call = { refused: new Set(), decide, mayTake: null };
      calls.set(callId, call);
      others().then(
        (ids) => {
          call.mayTake = ids;
          decideIfAllRefused(call);
        },
        () => {}, // Not known now: whoever takes it says so.
      );
      tell('waiting.call', { callId, deviceId, request });
    });
  }

  async function callDevice(call: RpcRequest): Promise<RpcAnswer> {
    const { deviceId, requestUUID, method, params, oneway } = call;
    const request = { id: local.nextId(deviceId), method, params };
    // Waiting begins before anybody has the request: the device may be faster than the process that says it is there.
    const answer = oneway ? null : local.deviceAnswer(call, request.id);
    const elsewhere = offerToOthers(deviceId, request);
    const here = local.offer(deviceId, request);
    const answered = answer?.then((result) => result.ok);
    if (!here && !(await Promise.race(answered ? [elsewhere, answered] : [elsewhere]))) {
      local.answerDeviceCall(deviceId, request.id, ''); // Nobody waits for it any more.
      return { ok: false, error: 'NO_ACTIVE_CONNECTION' };
    }
    if (!answer) return { ok: true, data: null };
    mark(requestUUID, true);
    const result = await answer;
    mark(requestUUID, false);
    return result;
  }

  function mark(requestUUID: string, isTaken: boolean): void {
    local.markTaken(requestUUID, isTaken);
    tell('waiting.taken', { requestUUID, isTaken });
  }

  hear('waiting.rest', ({ requestUUID, data }) => local.answerRest(requestUUID, data));
  hear('waiting.rpc', ({ requestUUID, answer }) => local.answerRpc(requestUUID, answer));
  hear('waiting.reply', ({ sessionId, requestId, data }) => local.replyToDevice(sessionId, requestId, data));
  hear('waiting.attributes', ({ deviceId, change }) => local.notifyAttributes(deviceId, readChange(change)));
  hear('waiting.device-answer', ({ deviceId, requestId, data }) => local.answerDeviceCall(deviceId, requestId, data));
  hear('waiting.taken', ({ requestUUID, isTaken }) => local.markTaken(requestUUID, isTaken));
  if (cluster.roles.has('api'))
    hear('waiting.call', ({ callId, deviceId, request }) => tell('waiting.call-taken', { callId, isTaken: local.offer(deviceId, request) }));
  hear('waiting.call-taken', ({ callId, isTaken }, from) => {
    const call = calls.get(callId);
    if (!call) return;
    if (isTaken) return call.decide(true);
    call.refused.add(from);
    decideIfAllRefused(call);
  });

  return {
    restReply: local.restReply,
    answerRest(requestUUID, data) {
      if (!local.answerRest(requestUUID, data)) tell('waiting.rest', { requestUUID, data });
    },
    rpcAnswer: local.rpcAnswer,
    answerRpc(requestUUID, answer) {
      if (!local.answerRpc(requestUUID, answer)) tell('waiting.rpc', { requestUUID, answer });
    },
    openSession: local.openSession,
    callDevice,
    answerDeviceCall(deviceId, requestId, data) {
      if (local.answerDeviceCall(deviceId, requestId, data)) return true;
      tell('waiting.device-answer', { deviceId, requestId, data });
      return false;
    },
    notifyAttributes(deviceId, change) {
      local.notifyAttributes(deviceId, change);
      tell('waiting.attributes', { deviceId, change: writeChange(change) });
    },
    replyToDevice(sessionId, requestId, data) {
      if (!local.replyToDevice(sessionId, requestId, data)) tell('waiting.reply', { sessionId, requestId, data });
    },
    close() {
      for (const end of ends) end();
      for (const { decide } of calls.values()) decide(false);
      local.close();
    },
  };
}

const mapped = (change: AttributeChange, to: (value: Value) => unknown): AttributeChange =>
  'updated' in change ? { ...change, updated: change.updated.map(([key, value]) => [key, to(value)] as KeyValue) } : change;

/** JSON has no bigint. */
const writeChange = (change: AttributeChange): AttributeChange =>
  mapped(change, (value) => (typeof value.value === 'bigint' ? { ...value, value: String(value.value) } : value));

const readChange = (change: AttributeChange): AttributeChange =>
  mapped(change, (value) => (value.type === 'LONG' && typeof value.value !== 'number' ? { ...value, value: BigInt(value.value) } : value));
