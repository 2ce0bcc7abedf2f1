export interface ObservationOptions {
  /** Two looks that are farther apart have a gap between them, in which we can not know what the others did. */
  readonly gapMs: number;
}

interface Seen {
  readonly sign: string;
  readonly since: number;
  silentMs: number;
}

/**
 * How long each process has shown no sign of life, by what we have seen ourselves: no clock of another machine counts, and neither does a time in which nobody
 * could beat or we could not look (MongoDB was away, we were stopped). After such a gap everybody is as good as new.
 */
export class Observation {
  private readonly gapMs: number;
  private seen = new Map<string, Seen>();
  private lookedAt: number | null = null;

  constructor({ gapMs }: ObservationOptions) {
    this.gapMs = gapMs;
  }

  /** @param signs what each process has written last. What was read is as old as `askedAt`, and not older: ms of a clock that only goes forward. */
  look(signs: ReadonlyMap<string, string>, askedAt: number, answeredAt: number): void {
    const gap = this.lookedAt === null || answeredAt - this.lookedAt > this.gapMs;
    this.lookedAt = answeredAt;
    const seen = new Map<string, Seen>();
    for (const [id, sign] of signs) {
      const before = this.seen.get(id);
      if (gap || before?.sign !== sign) seen.set(id, { sign, since: answeredAt, silentMs: 0 });
      else seen.set(id, { ...before, silentMs: Math.max(0, askedAt - before.since) });
    }
    this.seen = seen;
  }

  /** At the last look. */
  silentMs(id: string): number {
    return this.seen.get(id)?.silentMs ?? 0;
  }
}
