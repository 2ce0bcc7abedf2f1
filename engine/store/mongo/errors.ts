import {
  MongoBulkWriteError,
  MongoDriverError,
  MongoError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';

/** Two transactions wrote the same document, or one was ended by the server: the same again will do (MongoDB: WriteConflict, LockTimeout, NoSuchTransaction). */
const CONFLICTS = new Set([112, 24, 251, 50, 246]);

export function isConflict(cause: unknown): boolean {
  if (!(cause instanceof MongoServerError)) return false;
  return CONFLICTS.has(Number(cause.code)) || (cause.hasErrorLabel('TransientTransactionError') && !isUnavailable(cause));
}

/** The server says that it can store nothing now, whatever it is: shutting down, no primary, too slow, disk full, we may not. */
const NOT_NOW = new Set([6, 7, 13, 18, 89, 91, 189, 262, 10107, 11600, 11602, 13435, 13436, 14031]);

/** All connections hang, and the driver does not export the class. */
const WAIT_QUEUE = 'MongoWaitQueueTimeoutError';

/** Nothing can be stored now: the server is away, does not answer, or says so. Other errors of the server are about what was sent. */
export function isUnavailable(cause: unknown): boolean {
  if (cause instanceof MongoServerError && NOT_NOW.has(Number(cause.code))) return true;
  // A bulk write wraps whatever its driver ran into; what the server said has a code.
  if (cause instanceof MongoBulkWriteError && cause.code === undefined) return true;
  return (
    cause instanceof MongoNetworkError ||
    cause instanceof MongoServerSelectionError ||
    cause instanceof MongoNotConnectedError ||
    cause instanceof MongoTopologyClosedError ||
    cause instanceof MongoOperationTimeoutError ||
    (cause instanceof MongoDriverError && cause.name === WAIT_QUEUE) ||
    (cause instanceof MongoError && (cause.hasErrorLabel('RetryableWriteError') || cause.hasErrorLabel('ResetPool')))
  );
}

export const isDuplicateKey = (cause: unknown): cause is MongoServerError => cause instanceof MongoServerError && cause.code === 11000;
