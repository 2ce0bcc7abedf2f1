import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId, timeOf } from '#engine/id.ts';

test('an id of a time that is yet to come has that time, and the next one has its own', () => {
  const tomorrow = Date.now() + 86_400_000;
  const ahead = [newId(tomorrow), newId(tomorrow)];
  assert.deepEqual(ahead.map(timeOf), [tomorrow, tomorrow]);
  assert.notEqual(ahead[0], ahead[1]);
  assert.ok(Math.abs(timeOf(newId()) - Date.now()) < 1000, 'the present goes on');
});
