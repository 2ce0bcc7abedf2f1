import { type IQueueBackend, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { queueOf } from './downlink-docs.ts';

/** As many jobs are asked for at a time: in one go over the connection, and few enough for a queue that has one. */
const AT_ONCE = 16;
/** Whoever holds the integration's lease is the only worker: BullMQ needs no lock for that, and under this token it keeps none. */
const NO_LOCK = '0';
const STEP = 500;
const TURN_MS = 30_000;

/** The jobs of downlinks in BullMQ: that there is something to do, and for whom. What it is, and whether it still is, says its document. */
export class DownlinkJobs {
  private readonly connection: Redis;
  private readonly prefix: string;
  private readonly any: Queue;
  /** By integration, jobs of downlinks that are over, which Redis did not remove because it was away. */
  private readonly owed = new Map<string, Set<string>>();

  constructor({ connection, prefix }: { connection: Redis; prefix: string }) {
    this.connection = connection;
    this.prefix = prefix;
    this.any = new Queue('downlinks', { connection, prefix, skipMetasUpdate: true });
    // Every call says so itself.
    this.any.on('error', () => {});
  }

  /** The next ones, in order, at most about `max`; they are active from then on, until they are removed. */
  async next(integrationId: string, max: number): Promise<string[]> {
    const queue = this.queue(integrationId);
    const ids: string[] = [];
    for (let n = 1; ids.length < max; n = Math.min(AT_ONCE, max - ids.length)) {
      const found = await Promise.all(Array.from({ length: n }, () => queue.moveToActive(NO_LOCK)));
      for (const [job, id] of found) if (job && id) ids.push(id);
      const last = found.at(-1);
      if (!last?.[0]) break;
    }
    return ids;
  }

  /** Those that were active when the holder before ended, and ours. */
  active(integrationId: string): Promise<string[]> {
    return this.connection.lrange(`${this.queue(integrationId).qualifiedName}:active`, 0, -1);
  }

  /** Whatever state they are in; later, when Redis is away. */
  remove(integrationId: string, ids: readonly string[]): void {
    const queue = this.queue(integrationId);
    for (const id of ids) {
      queue.remove(id, false).catch(() => {
        const owed = this.owed.get(integrationId) ?? new Set();
        this.owed.set(integrationId, owed.add(id));
      });
    }
  }

  /** Removes what should be gone already. */
  tidy(): void {
    const owed = [...this.owed];
    this.owed.clear();
    for (const [integrationId, ids] of owed) this.remove(integrationId, [...ids]);
  }

  /** Jobs of pending downlinks that were due at or before `at`: nobody fetches them where no connection is, so they are removed with their downlinks, or here. */
  removeDue(integrationId: string, at: number): void {
    const delayed = `${this.queue(integrationId).qualifiedName}:delayed`;
    // BullMQ's order of delayed jobs: due time, with 12 bits for those of the same millisecond.
    this.connection.zrangebyscore(delayed, 0, (at + 1) * 0x1000 - 1, 'LIMIT', 0, STEP).then(
      (due) => this.remove(integrationId, due),
      () => {}, // The next time, then.
    );
  }

  /** Is this process the one that goes through what is over its time? Nobody else does for half a minute then. Two would be right, and in each other's way. */
  async turnToExpire(member: string): Promise<boolean> {
    return (await this.connection.set(`${this.prefix}:expiring`, member, 'PX', TURN_MS, 'NX')) !== null;
  }

  async longerTurn(member: string): Promise<void> {
    await this.connection.set(`${this.prefix}:expiring`, member, 'PX', TURN_MS);
  }

  async endTurn(): Promise<void> {
    await this.connection.del(`${this.prefix}:expiring`);
  }

  /** Everything of an integration that is gone. */
  drop(integrationId: string): void {
    this.owed.delete(integrationId);
    const queue = new Queue(queueOf(integrationId), { connection: this.connection, prefix: this.prefix, skipMetasUpdate: true });
    queue.on('error', () => {});
    queue.obliterate({ force: true }).catch(() => {}); // A few keys stay that nobody looks at.
  }

  close(): Promise<void> {
    return this.any.close();
  }

  private queue(integrationId: string): IQueueBackend {
    return this.any.getBackend().forQueue(queueOf(integrationId));
  }
}
