import {
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

/** The server is away, or does not answer. */
export function isUnavailable(cause: unknown): boolean {
  return (
    cause instanceof MongoNetworkError ||
    cause instanceof MongoServerSelectionError ||
    cause instanceof MongoNotConnectedError ||
    cause instanceof MongoTopologyClosedError ||
    cause instanceof MongoOperationTimeoutError ||
    (cause instanceof MongoError && (cause.hasErrorLabel('RetryableWriteError') || cause.hasErrorLabel('ResetPool')))
  );
}

export const isDuplicateKey = (cause: unknown): cause is MongoServerError => cause instanceof MongoServerError && cause.code === 11000;
