import { statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Database } from './database.ts';

/** Pages in the log from which on the worker moves them into the file: 8 MB. */
const START_PAGES = 2000;
/** Pages by which we give up on doing it beside our work, and do it at once. */
const MOST_PAGES = 50_000;

export interface CheckpointAnswer {
  /** Pages in the log, and how many of them are in the file. */
  readonly log: number;
  readonly moved: number;
}

/**
 * Moves the log into the file. That writes and syncs thousands of pages, 10-40 ms, so a thread does it beside the event loop;
 * the few pages that came meanwhile are moved here, after which SQLite starts the log from its beginning.
 */
export class Checkpoints {
  private readonly db: Database;
  private worker: Worker | null = null;
  private busy = false;
  private sinceAsked = 0;

  constructor(db: Database) {
    this.db = db;
  }

  /** After each transaction. @param rows about how many rows it wrote. */
  wrote(rows: number): void {
    this.sinceAsked += Math.min(rows, START_PAGES / 4) + 4;
    if (this.busy || this.sinceAsked < START_PAGES) return;
    this.sinceAsked = 0;
    if (statSync(`${this.db.file}-wal`).size < START_PAGES * 4096) return;
    this.busy = true;
    this.thread().postMessage('checkpoint');
  }

  async close(): Promise<void> {
    await this.worker?.terminate();
  }

  private thread(): Worker {
    if (this.worker) return this.worker;
    const worker = new Worker(new URL('./checkpoint-thread.ts', import.meta.url), {
      workerData: { file: this.db.file },
      resourceLimits: { maxOldGenerationSizeMb: 32 },
    });
    worker.unref();
    worker.on('message', (answer: CheckpointAnswer) => this.finish(answer));
    worker.on('error', () => {
      // The next one gets a new thread.
      this.worker = null;
      this.busy = false;
    });
    this.worker = worker;
    return worker;
  }

  private finish({ log, moved }: CheckpointAnswer): void {
    this.busy = false;
    if (log < START_PAGES) return;
    if (log - moved < START_PAGES || log > MOST_PAGES) this.db.get('PRAGMA wal_checkpoint(PASSIVE)');
  }
}
