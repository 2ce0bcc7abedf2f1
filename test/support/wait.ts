import { availableParallelism, loadavg } from 'node:os';
/** Waits for something, but not for ever. @throws Error naming what did not come. */
export async function within<T>(promise: Promise<T>, what: string, ms = 5000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Resolves when `condition` holds, looked at after each turn of the event loop. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string, ms = 5000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** A time that holds on a machine of its own, stretched by as much as others want of this one. */
export const onThisMachine = (ms: number): number => ms * Math.min(4, Math.max(1, loadavg()[0]! / availableParallelism()));
