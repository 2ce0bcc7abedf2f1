import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idList, pageLink, pageOfAll } from '#engine/api/paging.ts';

const PLAIN = { page: 0, pageSize: 10, textSearch: undefined, sortBy: undefined, order: 'ASC', startTime: undefined, endTime: undefined };
for (const { name, query, link } of [
  { name: 'as clients send it', query: { pageSize: '10', page: '0' }, link: PLAIN },
  { name: 'blank values mean absent', query: { pageSize: '10', page: '0', textSearch: '', sortProperty: '', sortOrder: '' }, link: PLAIN },
  { name: 'a repeated value: the first', query: { pageSize: ['10', '20'], page: '0' }, link: PLAIN },
  {
    name: 'the order in small letters',
    query: { pageSize: 10, page: 0, sortProperty: 'title', sortOrder: 'desc' },
    link: { ...PLAIN, sortBy: 'name', order: 'DESC' },
  },
  { name: 'more than is ever given', query: { pageSize: '2147483647', page: '0' }, link: { ...PLAIN, pageSize: 10_000 } },
  { name: 'a time window', query: { pageSize: '10', page: '0', startTime: '5', endTime: '-1' }, link: { ...PLAIN, startTime: 5, endTime: -1 } },
]) {
  test(`page link: ${name}`, () => assert.deepEqual(pageLink(query), link));
}

for (const { query, message } of [
  { query: {}, message: "Required request parameter 'pageSize' is not present" },
  { query: { pageSize: '10' }, message: "Required request parameter 'page' is not present" },
  { query: { pageSize: '', page: '0' }, message: "Parameter 'pageSize' is not a whole number: " },
  { query: { pageSize: '1.5', page: '0' }, message: "Parameter 'pageSize' is not a whole number: 1.5" },
  { query: { pageSize: '"10"', page: '0' }, message: `Parameter 'pageSize' is not a whole number: "10"` },
  { query: { pageSize: '2147483648', page: '0' }, message: 'Page link is out of range' },
  { query: { pageSize: '0', page: '0' }, message: "Incorrect page link page size '0'. Page size must be greater than zero." },
  { query: { pageSize: '10', page: '-1' }, message: "Incorrect page link page '-1'. Page must be positive integer." },
  { query: { pageSize: '10', page: '0', sortProperty: 'name;drop' }, message: 'Invalid sort property' },
  {
    query: { pageSize: '10', page: '0', sortProperty: 'name', sortOrder: 'UP' },
    message: "Unsupported sort order 'UP'! Only 'ASC' or 'DESC' types are allowed.",
  },
]) {
  test(`page link refused: ${JSON.stringify(query)}`, () => assert.throws(() => pageLink(query), { message, status: 400, errorCode: 31 }));
}

const A = '784f394c-42b6-435a-983c-b7beff2784f9';
const B = '784f394c-42b6-435a-983c-b7beff2784f8';
for (const { name, ids, list } of [
  { name: 'repeated', ids: [A, B], list: [A, B] },
  { name: 'joined', ids: `${A},${B}`, list: [A, B] },
  { name: 'both, in capitals', ids: [A.toUpperCase(), `${B}, `], list: [A, B] },
  { name: 'blank', ids: '', list: [] },
  { name: 'absent', ids: undefined, list: [] },
]) {
  test(`list of ids: ${name}`, () => assert.deepEqual(idList({ ids }, 'ids'), list));
}
test('list of ids: no UUID', () => assert.throws(() => idList({ ids: 'x' }, 'ids'), { message: 'Invalid UUID string: x', status: 400 }));

for (const { page, expected } of [
  { page: 0, expected: { data: [1, 2], totalPages: 2, totalElements: 3, hasNext: true } },
  { page: 1, expected: { data: [3], totalPages: 2, totalElements: 3, hasNext: false } },
  { page: 9, expected: { data: [], totalPages: 2, totalElements: 3, hasNext: false } },
]) {
  test(`page ${page} of three`, () => assert.deepEqual(pageOfAll([1, 2, 3], { page, pageSize: 2 }), expected));
}
