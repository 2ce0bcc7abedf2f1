import type { Collection } from 'mongodb';
import type { LeaseDoc } from './committer.ts';
import { Observation } from './observation.ts';
import type { ProcessDoc } from './processes.ts';

export interface RosterOptions {
  readonly processes: Collection<ProcessDoc>;
  readonly leases: Collection<LeaseDoc>;
  readonly giveUpMs: number;
  readonly gapMs: number;
  readonly elapsed: () => number;
  /** Rejects when the server does not answer in time. */
  readonly answered: <T>(promise: Promise<T>) => Promise<T>;
}

/** Who is there and has what, as the last look has shown. */
export class Roster {
  private readonly options: RosterOptions;
  private readonly observation: Observation;
  private readonly notes = new Map<string, { readonly noted: number; readonly notes: ReadonlyMap<string, object> }>();
  private owners: ReadonlyMap<string, string> = new Map();
  /** Leases that somebody has. */
  leases: readonly LeaseDoc[] = [];
  processes: readonly Omit<ProcessDoc, 'notes'>[] = [];

  constructor(options: RosterOptions) {
    this.options = options;
    this.observation = new Observation({ gapMs: options.gapMs });
  }

  async look(): Promise<void> {
    const { elapsed, answered } = this.options;
    const askedAt = elapsed();
    // The leases first: an owner without a document is not one that came in between.
    const leases = await answered(this.options.leases.find({ owner: { $ne: null } }).toArray());
    const processes = await answered(this.options.processes.find({}, { projection: { notes: 0 } }).toArray());
    this.observation.look(new Map(processes.map(({ _id, state, beat, by }) => [_id, `${state} ${beat} ${by}`])), askedAt, elapsed());
    this.leases = leases;
    this.processes = processes;
    this.owners = new Map(leases.map(({ _id, owner }) => [_id, owner!]));
    await this.freeOrphans();
    await this.readNotes();
  }

  ownerOf(lease: string): string | null {
    return this.owners.get(lease) ?? null;
  }

  lives(member: string): boolean {
    return this.processes.some(({ _id, state }) => _id === member && state === 'alive') && this.silentMs(member) < this.options.giveUpMs;
  }

  silentMs(member: string): number {
    return this.observation.silentMs(member);
  }

  noteOf(member: string, lease: string): object | null {
    return this.notes.get(member)?.notes.get(lease) ?? null;
  }

  /** What somebody took while it was buried: nobody would ever free it. */
  private async freeOrphans(): Promise<void> {
    const there = new Set(this.processes.map(({ _id }) => _id));
    for (const { _id, owner, epoch } of this.leases) {
      if (there.has(owner!)) continue;
      await this.options.answered(this.options.leases.updateOne({ _id, owner, epoch }, { $set: { owner: null }, $inc: { epoch: 1 } }));
    }
  }

  /** Only those that have changed. */
  private async readNotes(): Promise<void> {
    const noted = new Map(this.processes.map(({ _id, noted }) => [_id, noted]));
    for (const id of this.notes.keys()) if (!noted.has(id)) this.notes.delete(id);
    const news = [...noted].filter(([id, at]) => at > 0 && this.notes.get(id)?.noted !== at).map(([id]) => id);
    if (news.length === 0) return;
    const docs = await this.options.answered(this.options.processes.find({ _id: { $in: news } }, { projection: { notes: 1, noted: 1 } }).toArray());
    for (const { _id, notes, noted: at } of docs) this.notes.set(_id, { noted: at, notes: new Map(JSON.parse(notes)) });
  }
}
