import { AppError } from '#engine/errors.ts';
import type { Message } from '#engine/message.ts';
import type { AnyNode, SendContext } from '#engine/node.ts';
import type { Doc } from '#engine/store.ts';
import { type RunOptions, services, start, told, type World } from './services.ts';

/** What a node with `send` needs, without the outbox: tests of external nodes call it as the outbox does. */
export interface ExternalOptions extends Omit<RunOptions, 'services'> {
  readonly world?: World;
  /** Users that every filter of a notification target names. */
  readonly users?: readonly Doc[];
  /** As the outbox aborts: the process stops, or the time of the message is over. */
  readonly signal?: AbortSignal;
}

export interface External {
  /**
   * Where the message goes, as `told` shows it. What was thrown is `{ to: 'Failure', error }`, with `retry` when it is an error of our own: 'later' and
   * 'reconnect' make the outbox wait and try again.
   */
  send(message: Message): Promise<unknown>;
  /** Documents of the notification centre that it saved. */
  readonly saved: readonly Doc[];
  /** Closes what the node keeps open. */
  stop(): void;
}

/** Reads the configuration and starts the node. @throws the reason why it is not usable. */
export async function external(definition: AnyNode, { world, users = [], signal, ...options }: ExternalOptions = {}): Promise<External> {
  const started = await start(definition, { ...options, services: services(world) });
  const saved: Doc[] = [];
  const context: SendContext<unknown, unknown> = {
    config: started.config,
    node: started.node,
    state: started.state,
    signal: signal ?? new AbortController().signal,
    entities: { find: started.entities.find, customerOf: started.entities.customerOf },
    settings: started.settings,
    notifications: { recipients: async () => [...users], save: async (docs) => void saved.push(...docs) },
  };
  return {
    saved,
    async send(message) {
      try {
        return told(await definition.send!(message, context), message);
      } catch (cause) {
        if (!(cause instanceof Error)) throw cause;
        return { to: 'Failure', error: cause.message, ...(cause instanceof AppError ? { retry: cause.retry } : {}) };
      }
    },
    stop: () => definition.stop?.(started.state),
  };
}

/** Starts, sends these one after the other, stops. */
export async function sendAll(definition: AnyNode, messages: readonly Message[], options: ExternalOptions = {}): Promise<unknown[]> {
  const node = await external(definition, options);
  const outcomes: unknown[] = [];
  try {
    for (const message of messages) outcomes.push(await node.send(message));
  } finally {
    node.stop();
  }
  return outcomes;
}
