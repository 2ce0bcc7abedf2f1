import type { SQLInputValue } from 'node:sqlite';
import type { KeyValue } from '#engine/json.ts';
import { ATTRIBUTE_SCOPES, type EntityRef } from '#engine/message.ts';
import { decodeMessage, encodeMessage } from '#engine/queue/messages.ts';
import { type DownlinkRow, toDownlink } from '#engine/queue/sqlite/downlinks.ts';
import { KEPT_COLUMNS, KEPT_FROM, type KeptRow, putKept, toKept } from '#engine/queue/sqlite/kept.ts';
import { ROW_MESSAGES } from '#engine/queue/sqlite/lanes.ts';
import { laneOf } from '#engine/queue.ts';
import type { Counter } from '#engine/store.ts';
import type { Kind, LatestValue, Records } from '#engine/transfer.ts';
import { Work } from '#engine/work.ts';
import { DEBUG_MS } from '../event-filter.ts';
import { type Cell, cellOf, fromCell } from '../values.ts';
import { writeAttributes } from './attributes.ts';
import { codeOf, keyOf, typeOf } from './cells.ts';
import type { Database, Row } from './database.ts';
import { type DeadLetterRow, toDeadLetter, writeDeadLetters } from './dead-letters.ts';
import { COLUMNS, putDoc, toDoc } from './docs.ts';
import { writeCounts } from './ledger.ts';
import { writeNodeStates } from './node-states.ts';
import type { Numbers } from './numbers.ts';
import { putRelation, type RelationRow, toRelation } from './relations.ts';

/** What rows are made from and into. */
export interface Context {
  readonly db: Database;
  readonly numbers: Numbers;
  readonly lanes: number;
  /** Whose the rows under a number of `entities` are. */
  readonly entity: (n: number) => { readonly tenantId: string; readonly entity: EntityRef };
}

/** How the records of one kind are rows. */
export interface Table<K extends Kind> {
  readonly columns: string;
  readonly from: string;
  /** Columns by which rows are unique and in order, and what is before the first. */
  readonly key: readonly string[];
  readonly start: readonly SQLInputValue[];
  /** With one `?`, the present: what is over its time, or no part of the installation any more, is left out. */
  readonly filter: string;
  /** SQL: how many records there are. */
  readonly count: string;
  readonly toRecords: (row: Row, context: Context) => Records[K][];
  readonly write: (records: readonly Records[K][], before: number, context: Context) => void;
}

const ALL = '? IS NOT NULL';
/** Rows of deleted entities wait for their sweep. */
const LIVE = 'entity NOT IN (SELECT entity FROM purged)';

const text = (row: Row, column: string): string => row[column] as string;
const number = (row: Row, column: string): number => row[column] as number;
const typed = (code: Cell, cell: Cell) => fromCell(typeOf(code as number), cell);

function keyed<K extends Kind>(
  from: string,
  key: Readonly<Record<string, SQLInputValue>>,
  rest: Pick<Table<K>, 'toRecords' | 'write'> & Partial<Table<K>>,
): Table<K> {
  return { columns: '*', from, key: Object.keys(key), start: Object.values(key), filter: ALL, count: 'count(*)', ...rest };
}

/** Two processes may have given the same place to two, which says that it does not matter who is first. */
function freeSeq(db: Database, table: 'downlinks' | 'kept', seq: number): number {
  let free = seq;
  while (db.get(`SELECT 1 FROM ${table} WHERE seq = ?`, free)) free++;
  return free;
}

export const TABLES: { readonly [K in Kind]: Table<K> } = {
  doc: keyed(
    'docs',
    { collection: '', id: '' },
    {
      columns: COLUMNS,
      toRecords: (row) => [toDoc(row)],
      write(docs, _before, { db }) {
        for (const doc of docs) putDoc(db, doc);
      },
    },
  ),
  relation: keyed(
    'relations',
    { tenantId: '', fromId: '', fromType: '', typeGroup: '', type: '', toId: '', toType: '' },
    {
      toRecords: (row) => [{ tenantId: text(row, 'tenantId'), relation: toRelation(row as unknown as RelationRow) }],
      write(records, _before, { db }) {
        for (const { tenantId, relation } of records) putRelation(db, tenantId, relation, relation.version ?? 0);
      },
    },
  ),
  attribute: keyed(
    'attributes',
    { entity: 0, scope: 0, key: '' },
    {
      filter: `${LIVE} AND ${ALL}`,
      toRecords: (row, { entity }) => [
        {
          ...entity(number(row, 'entity')),
          scope: ATTRIBUTE_SCOPES[number(row, 'scope')]!,
          key: text(row, 'key'),
          value: fromCell(number(row, 'type'), row['value'] as Cell),
          lastUpdateTs: number(row, 'ts'),
        },
      ],
      write: (attributes, _before, { db, numbers }) => writeAttributes(db, numbers, attributes),
    },
  ),
  latest: keyed(
    'latest',
    { entity: 0 },
    {
      filter: `${LIVE} AND ${ALL}`,
      toRecords(row, { entity, numbers }) {
        const flat = JSON.parse(text(row, 'cells')) as Cell[];
        const values: LatestValue[] = [];
        for (let i = 0; i < flat.length; i += 3)
          values.push({ key: numbers.keyName(keyOf(flat[i] as number)), ts: flat[i + 1] as number, value: typed(flat[i]!, flat[i + 2]!) });
        return [{ ...entity(number(row, 'entity')), values }];
      },
      write(records, _before, { db, numbers }) {
        for (const { tenantId, entity, values } of records) {
          const flat = values.flatMap(({ key, ts, value }): Cell[] => [codeOf(numbers, [key, value]), ts, cellOf(value)]);
          db.run('INSERT INTO latest (entity, cells) VALUES (?, ?)', numbers.entity(tenantId, entity), JSON.stringify(flat));
        }
      },
    },
  ),
  counter: keyed(
    'counters JOIN owners ON owners.n = owner',
    { owner: 0, counter: '' },
    {
      columns: 'owner, counter, counters.n AS n, tenantId, id',
      filter: `counters.n <> 0 AND ${ALL}`,
      toRecords: (row) => [
        { tenantId: text(row, 'tenantId'), owner: text(row, 'id'), counter: text(row, 'counter') as Counter, n: number(row, 'n') },
      ],
      write(records, _before, { db, numbers }) {
        const work = new Work();
        for (const { tenantId, owner, counter, n } of records) work.count(tenantId, owner, counter, n);
        writeCounts(db, numbers, [work]);
      },
    },
  ),
  deadLetter: keyed(
    'dead_letters',
    { id: '' },
    {
      toRecords: (row) => [toDeadLetter(row as unknown as DeadLetterRow)],
      write(letters, _before, { db }) {
        const work = new Work();
        work.deadLetters.push(...letters);
        writeDeadLetters(db, work);
      },
    },
  ),
  downlink: keyed(
    'downlinks',
    { seq: 0 },
    {
      toRecords: (row) => [{ seq: number(row, 'seq'), downlink: toDownlink(row as unknown as DownlinkRow) }],
      write(records, _before, { db, numbers }) {
        for (const { seq, downlink } of records) {
          const { id, tenantId, integrationId, entity, createdTime, delivery, policy, expiresAt, state, history, message } = downlink;
          db.run(
            `INSERT INTO downlinks (seq, id, owner, tenantId, integrationId, entityType, entityId, createdTime, delivery, policy, expiresAt, state, history, message)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
            ...[freeSeq(db, 'downlinks', seq), id, numbers.owner(tenantId, integrationId), tenantId, integrationId, entity.entityType, entity.id],
            ...[createdTime, delivery, policy, expiresAt, state, JSON.stringify(history), encodeMessage(message)],
          );
        }
      },
    },
  ),
  waiting: keyed(
    'lane',
    { seq: 0 },
    {
      count: 'coalesce(sum(n), 0)',
      toRecords: (row) =>
        text(row, 'messages')
          .split('\n')
          .map((line) => ({ lane: number(row, 'lane'), appendedAt: number(row, 'appendedAt'), message: decodeMessage(line) })),
      write(records, before, { db, numbers }) {
        for (let start = 0, end = 0; start < records.length; start = end) {
          const { lane, appendedAt, message } = records[start]!;
          const isNext = (other: Records['waiting']) =>
            other.lane === lane &&
            other.appendedAt === appendedAt &&
            other.message.owner === message.owner &&
            other.message.tenantId === message.tenantId;
          while (end < records.length && end - start < ROW_MESSAGES && isNext(records[end]!)) end++;
          const lines = records.slice(start, end).map((record) => encodeMessage(record.message));
          db.run(
            'INSERT INTO lane (seq, lane, owner, n, appendedAt, messages) VALUES (?, ?, ?, ?, ?, ?)',
            ...[before + 1 + start, lane, numbers.owner(message.tenantId, message.owner), lines.length, appendedAt, lines.join('\n')],
          );
        }
      },
    },
  ),
  held: keyed(
    'held',
    { originator: '', pos: 0 },
    {
      toRecords: (row) => [{ notBefore: number(row, 'notBefore'), message: decodeMessage(text(row, 'message')) }],
      write(records, before, { db, numbers, lanes }) {
        for (const [index, { notBefore, message }] of records.entries()) {
          const { id } = message.originator;
          db.run(
            'INSERT INTO held (originator, pos, lane, owner, notBefore, message) VALUES (?, ?, ?, ?, ?, ?)',
            ...[id, before + index, laneOf(id, lanes), numbers.owner(message.tenantId, message.owner), notBefore, encodeMessage(message)],
          );
        }
      },
    },
  ),
  delayed: keyed(
    'delayed',
    { seq: 0 },
    {
      toRecords: (row) => [{ dueAt: number(row, 'dueAt'), message: decodeMessage(text(row, 'message')) }],
      write(records, before, { db, numbers }) {
        for (const [index, { dueAt, message }] of records.entries())
          db.run(
            'INSERT INTO delayed (seq, owner, dueAt, message) VALUES (?, ?, ?, ?)',
            ...[before + 1 + index, numbers.owner(message.tenantId, message.owner), dueAt, encodeMessage(message)],
          );
      },
    },
  ),
  kept: keyed(
    KEPT_FROM,
    { seq: 0 },
    {
      columns: `${KEPT_COLUMNS}, movedAt`,
      filter: `owners.tenantId NOT IN (SELECT tenantId FROM purged_tenants) AND ${ALL}`,
      toRecords: (row) => [{ seq: number(row, 'seq'), kept: toKept(row as unknown as KeptRow), movedAt: row['movedAt'] as number | null }],
      write(records, _before, { db, numbers, lanes }) {
        for (const { seq, kept, movedAt } of records) putKept(db, numbers, lanes, freeSeq(db, 'kept', seq), kept, movedAt);
      },
    },
  ),
  nodeState: keyed(
    'node_states',
    { entity: 0, key: '' },
    {
      filter: `${LIVE} AND ${ALL}`,
      toRecords(row, context) {
        const { tenantId, entity } = context.entity(number(row, 'entity'));
        return [{ tenantId, nodeId: entity.id, key: text(row, 'key'), value: JSON.parse(text(row, 'value')) as unknown }];
      },
      write: (states, _before, { db, numbers }) => writeNodeStates(db, numbers, [...states]),
    },
  ),
  event: keyed(
    'events',
    { entity: 0, type: '', createdTime: 0, seq: 0 },
    {
      filter: `${LIVE} AND NOT (type LIKE 'DEBUG\\_%' ESCAPE '\\' AND createdTime < ? - ${DEBUG_MS})`,
      toRecords: (row, { entity }) => [
        {
          ...entity(number(row, 'entity')),
          id: text(row, 'id'),
          type: text(row, 'type'),
          createdTime: number(row, 'createdTime'),
          body: JSON.parse(text(row, 'body')) as Record<string, unknown>,
        },
      ],
      write(events, before, { db, numbers }) {
        for (const [index, { id, tenantId, entity, type, createdTime, body }] of events.entries())
          db.run(
            'INSERT INTO events (entity, type, createdTime, seq, id, body) VALUES (?, ?, ?, ?, ?, ?)',
            ...[numbers.entity(tenantId, entity), type, createdTime, before + index, id, JSON.stringify(body)],
          );
      },
    },
  ),
  history: keyed(
    'history',
    { entity: 0, ts: Number.MIN_SAFE_INTEGER },
    {
      filter: `${LIVE} AND (expiresAt IS NULL OR expiresAt > ?)`,
      toRecords(row, { entity, numbers }) {
        const flat = JSON.parse(text(row, 'cells')) as Cell[];
        const values: KeyValue[] = [];
        for (let i = 0; i < flat.length; i += 2) values.push([numbers.keyName(keyOf(flat[i] as number)), typed(flat[i]!, flat[i + 1]!)]);
        return [{ ...entity(number(row, 'entity')), ts: number(row, 'ts'), expiresAt: row['expiresAt'] as number | null, values }];
      },
      write(records, _before, { db, numbers }) {
        for (const { tenantId, entity, ts, expiresAt, values } of records) {
          const flat = values.flatMap((pair): Cell[] => [codeOf(numbers, pair), cellOf(pair[1])]);
          db.run(
            'INSERT INTO history (entity, ts, expiresAt, cells) VALUES (?, ?, ?, ?)',
            ...[numbers.entity(tenantId, entity), ts, expiresAt, JSON.stringify(flat)],
          );
        }
      },
    },
  ),
};
