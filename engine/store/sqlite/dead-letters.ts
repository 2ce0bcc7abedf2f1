import { VersionConflict } from '#engine/errors.ts';
import type { DeadLetter, Page } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { pageOf } from '../page.ts';
import type { Database } from './database.ts';

export function writeDeadLetters(db: Database, { deadLetters, deadLetterRemovals }: Work): void {
  for (const { id, tenantId, owner, createdTime, payload, ...rest } of deadLetters) {
    db.run(
      'INSERT INTO dead_letters (id, tenantId, owner, createdTime, payload, rest) VALUES (?, ?, ?, ?, ?, ?)',
      id,
      tenantId,
      owner,
      createdTime,
      payload,
      JSON.stringify(rest),
    );
  }
  for (const { id, tenantId } of deadLetterRemovals) {
    // Two requeues at the same moment: the second must not put the message into the lane again.
    if (db.run('DELETE FROM dead_letters WHERE id = ? AND tenantId = ?', id, tenantId) !== 1) throw new VersionConflict('Dead letter');
  }
}

export interface DeadLetterRow {
  id: string;
  tenantId: string;
  owner: string;
  createdTime: number;
  payload: Uint8Array;
  rest: string;
}

export const toDeadLetter = ({ rest, ...row }: DeadLetterRow): DeadLetter => ({ ...row, ...JSON.parse(rest) });

export function readDeadLetter(db: Database, tenantId: string, id: string): DeadLetter | null {
  const row = db.get<DeadLetterRow>('SELECT * FROM dead_letters WHERE id = ? AND tenantId = ?', id, tenantId);
  return row ? toDeadLetter(row) : null;
}

export function readDeadLetters(db: Database, tenantId: string, owner: string | undefined, page: number, pageSize: number): Page<DeadLetter> {
  const filter = owner === undefined ? 'tenantId = ?' : 'tenantId = ? AND owner = ?';
  const values = owner === undefined ? [tenantId] : [tenantId, owner];
  const total = db.get<{ n: number }>(`SELECT count(*) AS n FROM dead_letters WHERE ${filter}`, ...values)!.n;
  const rows = db.all<DeadLetterRow>(
    `SELECT * FROM dead_letters WHERE ${filter} ORDER BY createdTime DESC, id DESC LIMIT ? OFFSET ?`,
    ...values,
    pageSize,
    page * pageSize,
  );
  return pageOf(rows.map(toDeadLetter), total, page, pageSize);
}
