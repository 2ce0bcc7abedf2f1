import { Type } from 'typebox';
import type { Doc, Page, SortOrder } from '../store.ts';
import { badRequest } from './errors.ts';

/** Paging and lists of ThingsBoard's API (specs: rest-api §1.3). */

/** Query keys of every list; spread into the schema of a route. */
export const PAGE_QUERY = {
  pageSize: Type.Integer({ description: 'Elements in a page, at least 1; 10,000 at most are given.' }),
  page: Type.Integer({ description: 'Number of the page, from 0.' }),
  textSearch: Type.Optional(Type.String({ description: 'Case-insensitive part of the name.' })),
  sortProperty: Type.Optional(Type.String({ description: 'Key to sort by.' })),
  sortOrder: Type.Optional(Type.String({ description: 'ASC or DESC.' })),
};

export const TIME_QUERY = {
  startTime: Type.Optional(Type.Integer({ description: 'Inclusive, Unix ms.' })),
  endTime: Type.Optional(Type.Integer({ description: 'Inclusive, Unix ms.' })),
};

export interface PageLink {
  readonly page: number;
  readonly pageSize: number;
  readonly textSearch?: string;
  readonly sortBy?: string;
  readonly order: SortOrder;
  readonly startTime?: number;
  readonly endTime?: number;
}

export const MAX_PAGE_SIZE = 10_000;

/** What lists of documents may be sorted by. */
const SORT_KEYS = [
  'createdTime',
  'name',
  'title',
  'label',
  'type',
  'email',
  'firstName',
  'lastName',
  'status',
  'country',
  'state',
  'city',
  'address',
  'zip',
  'phone',
];
/** Their names in `DocQuery.sortBy`, where those differ. */
const DOC_KEYS: Readonly<Record<string, string>> = {
  title: 'name',
  email: 'name',
  type: 'kind',
  status: 'state',
  deviceProfileName: 'kind',
  assetProfileName: 'kind',
};

type Query = Readonly<Record<string, unknown>>;

const one = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value);

function integer(query: Query, key: string, required: boolean): number | undefined {
  const value = one(query[key]);
  if (value === undefined || (value === '' && !required)) {
    if (required) throw badRequest(`Required request parameter '${key}' is not present`);
    return undefined;
  }
  const number = typeof value === 'number' ? value : /^[-+]?\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw badRequest(`Parameter '${key}' is not a whole number: ${String(value)}`);
  return number;
}

function text(query: Query, key: string): string | undefined {
  const value = one(query[key]);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** @param sortKeys more keys than those of every list. @throws HttpError with the texts of §1.3. */
export function pageLink(query: unknown, sortKeys: readonly string[] = []): PageLink {
  const from = (query ?? {}) as Query;
  const pageSize = integer(from, 'pageSize', true)!;
  const page = integer(from, 'page', true)!;
  if (pageSize > 0x7fff_ffff || page > 0x7fff_ffff) throw badRequest('Page link is out of range');
  if (pageSize < 1) throw badRequest(`Incorrect page link page size '${pageSize}'. Page size must be greater than zero.`);
  if (page < 0) throw badRequest(`Incorrect page link page '${page}'. Page must be positive integer.`);
  const sortBy = text(from, 'sortProperty');
  const order = text(from, 'sortOrder')?.toUpperCase() ?? 'ASC';
  if (sortBy !== undefined && order !== 'ASC' && order !== 'DESC') {
    throw badRequest(`Unsupported sort order '${text(from, 'sortOrder')}'! Only 'ASC' or 'DESC' types are allowed.`);
  }
  if (sortBy !== undefined && !/^[\p{L}\p{N}_.-]+$/u.test(sortBy)) throw badRequest('Invalid sort property');
  const allowed = [...SORT_KEYS, ...sortKeys];
  if (sortBy !== undefined && !allowed.includes(sortBy)) {
    throw badRequest(`Unsupported sort property '${sortBy}'. Only '${allowed.join("', '")}' are allowed.`);
  }
  return {
    page,
    pageSize: Math.min(pageSize, MAX_PAGE_SIZE),
    textSearch: text(from, 'textSearch'),
    sortBy: sortBy === undefined ? undefined : (DOC_KEYS[sortBy] ?? sortBy),
    order: order === 'DESC' ? 'DESC' : 'ASC',
    startTime: integer(from, 'startTime', false),
    endTime: integer(from, 'endTime', false),
  };
}

/** The same page of something else. */
export const pageOf = <T>(page: Page<Doc>, map: (doc: Doc) => T): Page<T> => ({ ...page, data: page.data.map(map) });

/** A page of what is already in memory. */
export function pageOfAll<T>(all: readonly T[], { page, pageSize }: Pick<PageLink, 'page' | 'pageSize'>): Page<T> {
  const totalPages = Math.ceil(all.length / pageSize);
  return { data: all.slice(page * pageSize, (page + 1) * pageSize), totalPages, totalElements: all.length, hasNext: page + 1 < totalPages };
}

/** A list parameter, repeated (`ids=a&ids=b`) or joined by commas (`ids=a,b`); empty when absent or blank. @throws HttpError for what is no UUID. */
export function idList(query: unknown, key: string): string[] {
  const value = (query as Query | undefined)?.[key];
  const ids = (Array.isArray(value) ? value : [value ?? ''])
    .flatMap((part) => String(part).split(','))
    .map((part) => part.trim())
    .filter((part) => part !== '');
  return ids.map(uuid);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** @throws HttpError 400. */
export function uuid(value: string): string {
  const lower = value.toLowerCase();
  if (!UUID.test(lower)) throw badRequest(`Invalid UUID string: ${value}`);
  return lower;
}
