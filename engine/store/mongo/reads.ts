import { NotConnected } from '#engine/errors.ts';
import type { Store } from '#engine/store.ts';
import { isUnavailable } from './errors.ts';

/** Who reads while MongoDB is away is told so, and not what its driver says. */
export function readable(store: Store): Store {
  const made = Object.entries(store).map(([name, read]: [string, (...args: never[]) => Promise<unknown>]) => [
    name,
    async (...args: never[]) => {
      try {
        return await read(...args);
      } catch (cause) {
        throw translated(cause);
      }
    },
  ]);
  return { ...Object.fromEntries(made), everyDoc: (collection) => every(store.everyDoc(collection)) };
}

async function* every<T>(rows: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* rows;
  } catch (cause) {
    throw translated(cause);
  }
}

const translated = (cause: unknown): unknown => (isUnavailable(cause) ? new NotConnected('MongoDB', cause) : cause);
