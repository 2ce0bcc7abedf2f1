import type { Collection } from 'mongodb';
import { laneOf } from '#engine/queue.ts';
import type { StoredBatch } from './batches.ts';

interface Follower {
  readonly mark: number;
  readonly go: () => void;
}

interface Followed {
  followers: Follower[];
  isAsking: boolean;
  waitMs: number;
  timer: NodeJS.Timeout | null;
}

const FIRST_WAIT_MS = 5;
const MOST_WAIT_MS = 50;

/** Who waits for a lane to be through with what it has. Whoever works the lane, here or elsewhere: MongoDB is asked what the lane still has. */
export class Followers {
  private readonly batches: Collection<StoredBatch>;
  private readonly lanes = new Map<number, Followed>();

  constructor(batches: Collection<StoredBatch>) {
    this.batches = batches;
  }

  caughtUp(originatorId: string, lanes: number, mark: number, atMostMs: number): Promise<void> {
    const lane = laneOf(originatorId, lanes);
    const followed = this.lanes.get(lane) ?? { followers: [], isAsking: false, waitMs: 0, timer: null };
    this.lanes.set(lane, followed);
    return new Promise((resolve) => {
      const timer = setTimeout(() => follower.go(), atMostMs);
      const follower: Follower = {
        mark,
        go: () => {
          clearTimeout(timer);
          followed.followers = followed.followers.filter((other) => other !== follower);
          resolve();
        },
      };
      followed.followers.push(follower);
      followed.waitMs = FIRST_WAIT_MS;
      this.check(lane);
    });
  }

  /** The lane may be further than it was. */
  check(lane: number): void {
    const followed = this.lanes.get(lane);
    if (!followed || followed.isAsking) return;
    if (followed.timer) clearTimeout(followed.timer);
    followed.timer = null;
    // Only those: what the others wait for may be newer than the answer.
    const asking = [...followed.followers];
    if (asking.length === 0) {
      this.lanes.delete(lane);
      return;
    }
    followed.isAsking = true;
    this.oldestOf(lane)
      .then(
        (oldest) => {
          for (const follower of asking) if (oldest === null || oldest >= follower.mark) follower.go();
        },
        () => {}, // The server is away: nobody waits longer than they wanted to.
      )
      .finally(() => {
        followed.isAsking = false;
        if (followed.followers.some((follower) => !asking.includes(follower))) this.check(lane);
        else {
          followed.timer = setTimeout(() => this.check(lane), followed.waitMs);
          followed.waitMs = Math.min(2 * followed.waitMs, MOST_WAIT_MS);
        }
      });
  }

  close(): void {
    for (const { followers, timer } of this.lanes.values()) {
      if (timer) clearTimeout(timer);
      for (const follower of followers) follower.go();
    }
    this.lanes.clear();
  }

  private async oldestOf(lane: number): Promise<number | null> {
    const oldest = await this.batches.findOne({ lane, dueAt: null }, { projection: { _id: 0, at: 1 }, sort: { at: 1 } });
    return oldest?.at ?? null;
  }
}
