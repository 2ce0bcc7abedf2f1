import type { Alarm } from '../services.ts';
import { SEVERITIES } from './alarm-save.ts';
import { badRequest } from './errors.ts';
import { uuid } from './paging.ts';

type Query = Readonly<Record<string, unknown>>;

/** States that a search status stands for. */
const SEARCH: Readonly<Record<string, readonly string[]>> = {
  ANY: ['ACTIVE_UNACK', 'ACTIVE_ACK', 'CLEARED_UNACK', 'CLEARED_ACK'],
  ACTIVE: ['ACTIVE_UNACK', 'ACTIVE_ACK'],
  CLEARED: ['CLEARED_UNACK', 'CLEARED_ACK'],
  ACK: ['ACTIVE_ACK', 'CLEARED_ACK'],
  UNACK: ['ACTIVE_UNACK', 'CLEARED_UNACK'],
};

export interface AlarmFilter {
  /** Absent: any. */
  readonly states?: readonly string[];
  /** What the store can not select by; absent: nothing more. */
  readonly matches?: (alarm: Alarm) => boolean;
}

/** Query of alarm lists: one status in the older form, lists in the newer one. @throws HttpError 400 */
export function alarmFilter(query: unknown, older: boolean): AlarmFilter {
  const from = query as Query;
  const assignee = one(from, 'assigneeId');
  const assigneeId = assignee === undefined ? null : uuid(assignee);
  if (older) return { ...olderStates(from), ...(assigneeId === null ? {} : { matches: (alarm) => alarm.assigneeId === assigneeId }) };

  const severities = words(from, 'severityList');
  for (const severity of severities)
    if (!(SEVERITIES as readonly string[]).includes(severity)) throw badRequest(`Unknown alarm severity: ${severity}`);
  const types = words(from, 'typeList');
  const statuses = words(from, 'statusList');
  const states = statuses.length === 0 ? undefined : intersection(statuses.map(searchStates));
  if (assigneeId === null && severities.length === 0 && types.length === 0) return { states };
  return {
    states,
    matches: (alarm) =>
      (assigneeId === null || alarm.assigneeId === assigneeId) &&
      (severities.length === 0 || severities.includes(alarm.severity)) &&
      (types.length === 0 || types.includes(alarm.type)),
  };
}

function olderStates(query: Query): Pick<AlarmFilter, 'states'> {
  const searchStatus = one(query, 'searchStatus');
  const status = one(query, 'status');
  if (searchStatus !== undefined && status !== undefined) {
    throw badRequest("Invalid alarms search query: Both parameters 'searchStatus' and 'status' can't be specified at the same time!");
  }
  if (searchStatus !== undefined) return { states: searchStates(searchStatus) };
  if (status === undefined) return {};
  if (!SEARCH['ANY']!.includes(status)) throw badRequest(`Unknown alarm status: ${status}`);
  return { states: [status] };
}

function searchStates(word: string): readonly string[] {
  if (!Object.hasOwn(SEARCH, word)) throw badRequest(`Unknown alarm search status: ${word}`);
  return SEARCH[word]!;
}

/** `ACTIVE,UNACK` are both wanted; of two that exclude each other either is. */
function intersection(lists: readonly (readonly string[])[]): readonly string[] {
  const both = lists.reduce((left, right) => left.filter((state) => right.includes(state)));
  return both.length > 0 ? both : [...new Set(lists.flat())];
}

const one = (query: Query, key: string): string | undefined => {
  const value = [query[key] ?? ''].flat()[0];
  return value === '' ? undefined : String(value);
};
const words = (query: Query, key: string): string[] =>
  [query[key] ?? []]
    .flat()
    .flatMap((text) => String(text).split(','))
    .filter((word) => word !== '');
