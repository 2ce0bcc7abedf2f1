import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { AnyJson, Body, compileValidator, IdList, IdOf, Maybe } from '#engine/api/schemas.ts';

/** How requests are held against their schema: what clients send today is understood, what can not be meant is refused with its place. */

const Thing = Body({
  name: Type.String(),
  count: Type.Optional(Type.Integer()),
  on: Type.Optional(Type.Boolean()),
  customerId: Maybe(IdOf('CUSTOMER')),
  info: Type.Optional(AnyJson),
});
const ID = '784f394c-42b6-435a-983c-b7beff2784f9';

for (const { name, body, value, message } of [
  { name: 'as it should be', body: { name: 'a', count: 1 }, value: { name: 'a', count: 1 } },
  { name: 'a number for a text', body: { name: 12345 }, value: { name: '12345' } },
  { name: 'texts for a number and a boolean', body: { name: 'a', count: '7', on: 'true' }, value: { name: 'a', count: 7, on: true } },
  { name: 'null for absent', body: { name: 'a', count: null, on: null }, value: { name: 'a' } },
  { name: 'what we do not know is kept', body: { name: 'a', nope: { x: null } }, value: { name: 'a', nope: { x: null } } },
  { name: 'any JSON is kept as it is', body: { name: 'a', info: { n: '1', x: null } }, value: { name: 'a', info: { n: '1', x: null } } },
  { name: 'an id without its entity type', body: { name: 'a', customerId: { id: ID.toUpperCase() } }, value: { name: 'a', customerId: { id: ID } } },
  { name: 'no body', body: undefined, message: 'Required request body is missing' },
  { name: 'a missing key', body: {}, message: 'Validation error: name must not be null' },
  { name: 'null for what is required', body: { name: null }, message: 'Validation error: name must not be null' },
  { name: 'an object for a text', body: { name: {} }, message: 'Validation error: name must be string' },
  { name: 'a list for the whole', body: [], message: 'Validation error: must be object' },
] as const) {
  test(`body: ${name}`, () => {
    const result = compileValidator({ schema: Thing as never, httpPart: 'body' })(body);
    assert.deepEqual(
      'error' in result ? { message: result.error.message } : { value: result.value },
      message === undefined ? { value } : { message },
    );
  });
}

test('body: a wrong entity type or no UUID in an id is refused', () => {
  const validate = compileValidator({ schema: Thing as never, httpPart: 'body' });
  for (const customerId of [{ entityType: 'ASSET', id: ID }, { entityType: 'CUSTOMER', id: 'abc' }, { entityType: 'CUSTOMER' }, 'abc', 7]) {
    const result = validate({ name: 'a', customerId });
    assert.ok('error' in result && result.error.message.startsWith('Validation error: customerId'), JSON.stringify(customerId));
  }
});

const Query = Type.Object({
  page: Type.Integer(),
  active: Type.Optional(Type.Boolean()),
  type: Type.Optional(Type.String()),
  ids: Type.Optional(IdList),
});
for (const { name, query, value, message } of [
  { name: 'texts become what is asked for', query: { page: '3', active: 'true' }, value: { page: 3, active: true } },
  { name: 'blank means absent', query: { page: '0', type: '', active: '' }, value: { page: 0 } },
  { name: 'lists joined and repeated', query: { page: '0', ids: 'a,b' }, value: { page: 0, ids: ['a', 'b'] } },
  { name: 'what we do not know is kept', query: { page: '0', other: 'x' }, value: { page: 0, other: 'x' } },
  { name: 'a missing key', query: {}, message: "Required request parameter 'page' is not present" },
  { name: 'no number', query: { page: 'x' }, message: 'Validation error: querystring: page must be integer' },
] as const) {
  test(`query: ${name}`, () => {
    const result = compileValidator({ schema: Query as never, httpPart: 'querystring' })(query);
    assert.deepEqual(
      'error' in result ? { message: result.error.message } : { value: result.value },
      message === undefined ? { value } : { message },
    );
  });
}
