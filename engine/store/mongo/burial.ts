import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientSession, Collection, MongoClient } from 'mongodb';
import type { LeaseDoc } from './committer.ts';
import { isConflict } from './errors.ts';
import type { ProcessDoc } from './processes.ts';

/** What is to be done for a process that is not there any more, or that goes. Each may run again, also at the same time in another process. */
export interface BurialHooks {
  /** Its jobs that were committed and not dispatched are dispatched. */
  adopt(member: string): Promise<void>;
  /** The downlinks that it has taken are free again. */
  release(member: string): Promise<void>;
  /** Its counters are added to those that belong to nobody. */
  fold(member: string): Promise<void>;
}

export interface BurialOptions {
  readonly client: MongoClient;
  readonly processes: Collection<ProcessDoc>;
  readonly leases: Collection<LeaseDoc>;
  readonly hooks: BurialHooks;
  /** How long somebody else's transaction may be in the way. */
  readonly patienceMs: number;
  readonly onPoint: (name: string) => void;
}

export const DURABLE = { writeConcern: { w: 'majority', j: true } } as const;
const TRANSACTION = { readConcern: { level: 'snapshot' }, ...DURABLE } as const;
const RETRY_MS = 20;

/** All slot leases of a process; `;` is the character after `:`. */
export const slotLeases = (member: string): { _id: { $gte: string; $lt: string } } => ({
  _id: { $gte: `process:${member}:`, $lt: `process:${member};` },
});

/**
 * Gives a process up: after this it can write nothing, and nothing that it has left behind waits for it. Whoever dies on the way leaves a state from which another
 * goes on.
 * @param seen its document as it was judged. False: it has shown itself meanwhile, or somebody else does it.
 */
export async function bury(options: BurialOptions, seen: Pick<ProcessDoc, '_id' | 'state' | 'beat' | 'by'>, by: string): Promise<boolean> {
  const { processes, leases, hooks, onPoint } = options;
  const { _id: member, state, beat } = seen;
  const { matchedCount } = await processes.updateOne({ _id: member, state, beat, by: seen.by }, { $set: { state: 'dead', by } }, DURABLE);
  if (matchedCount === 0) return false;
  onPoint('burial-begun');
  const away = { $set: { owner: null }, $inc: { epoch: 1 } };
  await against(options, member, (session) => leases.updateMany({ ...slotLeases(member), owner: member }, away, { session }));
  onPoint('burial-fenced');
  // Its lanes stay where they are until their jobs are complete: the next holder must find them in order.
  await hooks.adopt(member);
  await hooks.release(member);
  await hooks.fold(member);
  onPoint('burial-adopted');
  await against(options, member, (session) => leases.updateMany({ owner: member }, away, { session }));
  await leases.deleteMany(slotLeases(member), DURABLE);
  await processes.deleteOne({ _id: member }, DURABLE);
  return true;
}

/**
 * A transaction against those of a process that may stand still in the midst of one: a server keeps it open for a minute after its client was stopped or killed, and
 * everybody else would wait for it. So its sessions are ended first.
 */
async function against(options: BurialOptions, member: string, write: (session: ClientSession) => Promise<unknown>): Promise<void> {
  const { client, leases, patienceMs } = options;
  const end = performance.now() + patienceMs;
  for (;;) {
    const slots = await leases.find(slotLeases(member)).toArray();
    const killSessions = slots.flatMap(({ session }) => (session ? [{ id: session }] : []));
    if (killSessions.length > 0) await client.db('admin').command({ killSessions });
    try {
      return await inTransaction(client, write);
    } catch (cause) {
      if (!isConflict(cause) || performance.now() > end) throw cause;
      await sleep(RETRY_MS);
    }
  }
}

/** One attempt. */
export async function inTransaction(client: MongoClient, write: (session: ClientSession) => Promise<unknown>): Promise<void> {
  const session = client.startSession();
  try {
    session.startTransaction(TRANSACTION);
    await write(session);
    await session.commitTransaction();
  } finally {
    if (session.inTransaction()) await session.abortTransaction().catch(() => {}); // It ends with its session.
    await session.endSession().catch(() => {}); // The server forgets it by itself.
  }
}
