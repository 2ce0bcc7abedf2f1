import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { CheckpointAnswer } from './checkpoints.ts';

/** The thread of checkpoints.ts: a connection of its own, that only moves pages. PASSIVE waits for nobody and holds nobody up. */
const db = new DatabaseSync((workerData as { file: string }).file);
db.exec('PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-256');

parentPort!.on('message', () => {
  let answer: CheckpointAnswer = { log: 0, moved: 0 };
  try {
    const row = db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get() as { log: number; checkpointed: number };
    answer = { log: row.log, moved: row.checkpointed };
  } catch {
    // A full disk: the log grows until there is room, and the next request tries again.
  }
  parentPort!.postMessage(answer);
});
