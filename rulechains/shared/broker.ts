import { errorText } from '#engine/errors.ts';
import { type Message, withChanges } from '#engine/message.ts';
import type { Emission } from '#engine/node.ts';

/** What nodes that hand messages to a broker have in common (specs: rule-nodes §3.7). */

/** Success with what the broker said about the message; what it did not say is left out. */
export function delivered(message: Message, told: Readonly<Record<string, string | undefined>>): Emission {
  const metadata: Record<string, string> = { ...message.metadata };
  for (const [key, value] of Object.entries(told)) if (value) metadata[key] = value;
  return { to: 'Success', message: withChanges(message, { metadata }) };
}

/** @param away the peer could not be reached or asks to come later: nothing is wrong with the message. */
export function undelivered(message: Message, cause: unknown, away: boolean): Emission {
  const error = errorText(cause);
  return {
    to: 'Failure',
    error,
    away,
    message: withChanges(message, { metadata: { ...message.metadata, error: `class ${className(cause)}: ${error}` } }),
  };
}

/** Chains look at it: what has no class of its own here is called as the original calls it. */
function className(cause: unknown): string {
  if (!(cause instanceof Error)) return 'java.lang.RuntimeException';
  const own = cause.name === 'Error' ? cause.constructor.name : cause.name;
  if (own !== 'Error') return own;
  return JAVA_CLASSES[String((cause as { code?: unknown }).code)] ?? 'java.lang.RuntimeException';
}
const JAVA_CLASSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'java.net.ConnectException',
  ENOTFOUND: 'java.net.UnknownHostException',
  EAI_AGAIN: 'java.net.UnknownHostException',
  ETIMEDOUT: 'java.net.SocketTimeoutException',
  ECONNRESET: 'java.net.SocketException',
};

const NETWORK = new Set(
  ['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN'].concat([
    'ESOCKET',
    'ECONNECTION',
    'ETIMEOUT',
    'EDNS',
    'UND_ERR_SOCKET',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
  ]),
);

/** It, or what caused it, is a failure of the network. */
export function isNetworkFault(cause: unknown): boolean {
  for (const each of chainOf(cause)) if (NETWORK.has(String((each as { code?: unknown }).code))) return true;
  return false;
}

/** The error, its causes and the errors that it sums up. */
export function* chainOf(cause: unknown, depth = 0): Generator<Error> {
  if (!(cause instanceof Error) || depth > 8) return;
  yield cause;
  yield* chainOf(cause.cause, depth + 1);
  if (cause instanceof AggregateError) for (const each of cause.errors) yield* chainOf(each, depth + 1);
}

/** Settles as the promise does, or rejects when the signal aborts first: what still comes is not waited for. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(signal.reason);
    if (signal.aborted) end();
    signal.addEventListener('abort', end, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
  });
}
