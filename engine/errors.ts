/** What the one who catches should do: never try again, try again later, or wait for the peer to come back. */
export type Retry = 'never' | 'later' | 'reconnect';

export interface AppErrorOptions {
  cause?: unknown;
  /** For people and logs: no payloads, no secrets. */
  details?: Record<string, unknown>;
}

/** An error that we foresaw. `code` is stable and may be matched on; the message is for people and may not. Any other error is a bug. */
export class AppError extends Error {
  readonly code: string;
  readonly retry: Retry;
  readonly details: Record<string, unknown>;
  constructor(code: string, retry: Retry, message: string, { cause, details = {} }: AppErrorOptions = {}) {
    super(message, { cause });
    this.name = new.target.name;
    this.code = code;
    this.retry = retry;
    this.details = details;
  }
}

export interface Problem {
  /** Dotted path to the field, `''` for the whole. */
  path: string;
  message: string;
}

/** A configuration or request does not fit its schema. Lists every problem. */
export class ConfigError extends AppError {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[] | string, options: AppErrorOptions = {}) {
    const list = typeof problems === 'string' ? [{ path: '', message: problems }] : problems;
    super('config', 'never', list.map((p) => (p.path ? `${p.path}: ${p.message}` : p.message)).join('; '), options);
    this.problems = list;
  }
}

/** The peer is away: the actor backs off, the message stays queued. */
export class NotConnected extends AppError {
  constructor(peer: string, cause?: unknown) {
    const reason = cause instanceof Error && cause.message ? `: ${cause.message}` : '';
    super('not-connected', 'reconnect', `Not connected to ${peer}${reason}`, { cause });
  }
}

/** The peer refused who we are (credentials, permission): retried on the slow cycle only, or when edited. */
export class Refused extends AppError {
  constructor(message: string, options?: AppErrorOptions) {
    super('refused', 'reconnect', message, options);
  }
}

export class Timeout extends AppError {
  constructor(message: string, options?: AppErrorOptions) {
    super('timeout', 'later', message, options);
  }
}

/** A rule node did not come to an end: it takes `Failure`, so that its lane goes on. */
export class NodeStuck extends AppError {
  constructor(limitMs: number) {
    super('node-stuck', 'never', `The rule node gave no answer within ${limitMs / 1000} s`);
  }
}

/** Something is at its limit and says so. */
export class Busy extends AppError {
  readonly afterMs: number;
  constructor(message: string, afterMs = 1000, options?: AppErrorOptions) {
    super('busy', 'later', message, options);
    this.afterMs = afterMs;
  }
}

/** The peer refuses this one message: it takes `Failure`, else it is a dead letter. */
export class Rejected extends AppError {
  constructor(message: string, options?: AppErrorOptions) {
    super('rejected', 'never', message, options);
  }
}

export interface ScriptPosition {
  line?: number;
  column?: number;
  /** Where in the result the wrong value stands, e.g. `[0].telemetry.ts`. */
  path?: string;
}

/** User code threw, ran over a limit, or gave a wrong shape. The message is the one shown to the user beside the script. */
export class ConverterError extends AppError {
  readonly position: ScriptPosition;
  constructor(message: string, position: ScriptPosition = {}, options?: AppErrorOptions) {
    super('converter', 'never', message, options);
    this.position = position;
  }
}

/** The store could not make it durable (disk full, server away): nothing of the unit of work happened. The peer is not acknowledged. */
export class NotDurable extends AppError {
  constructor(cause: unknown) {
    super('not-durable', 'later', `Not stored: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** What this process still wanted to write is another's to do by now: its lease was taken over. Nothing of the unit of work happened. */
export class Fenced extends AppError {
  constructor(lease: string) {
    super('fenced', 'later', `Not stored: ${lease} is with another process now`);
  }
}

/** A save based on an old version (HTTP 409, code 35). */
export class VersionConflict extends AppError {
  constructor(entity: string) {
    super('version-conflict', 'never', `${entity} was already changed by someone else`);
  }
}

/** A unique name or key is taken. `key` names which. */
export class Duplicate extends AppError {
  constructor(message: string, details?: Record<string, unknown>) {
    super('duplicate', 'never', message, { details });
  }
}

/** Nothing is wrong with the content: what failed may be done again, here or where it belongs by now. */
export const isPassing = (cause: unknown): cause is AppError => cause instanceof AppError && cause.retry !== 'never';

export const errorText = (cause: unknown): string => (cause instanceof Error ? cause.message || cause.name : String(cause));
