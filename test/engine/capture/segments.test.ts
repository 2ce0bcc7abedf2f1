import assert from 'node:assert/strict';
import { appendFileSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFileSegments } from '#engine/capture/files.ts';
import { groupsOf, lineOf, recordsIn, type SegmentLimits } from '#engine/capture/segments.ts';
import { segmentsContract, textsIn } from '#test/contract/segments.ts';
import { temporaryFolder } from '#test/support/backend.ts';

const open = (folder: string, limits: SegmentLimits, log = { warn() {} }) => openFileSegments({ folder, ...limits, now: Date.now, log });

segmentsContract({
  name: 'files',
  async start(limits) {
    const folder = temporaryFolder();
    return { open: () => open(folder, limits), stop: () => rm(folder, { recursive: true }) };
  },
});

const LIMITS = { ringBytes: 4000, tenantBytes: 40_000 };
const record = (text: string): string => lineOf(JSON.stringify({ text }));

for (const { name, damage, left } of [
  {
    name: 'an end that was cut off',
    damage: (file: string) => writeFileSync(file, readFileSync(file).subarray(0, -5)),
    left: ['one', 'two'],
  },
  { name: 'a half line at the end', damage: (file: string) => appendFileSync(file, 'deadbeef {"te'), left: ['one', 'two', 'three'] },
  { name: 'noise at the end', damage: (file: string) => appendFileSync(file, Buffer.from([0, 255, 10, 7, 10])), left: ['one', 'two', 'three'] },
  {
    name: 'a changed byte in the middle',
    damage: (file: string) => writeFileSync(file, readFileSync(file, 'latin1').replace('two', 'tvo'), 'latin1'),
    left: ['one', 'three'],
  },
  { name: 'nothing left', damage: (file: string) => writeFileSync(file, ''), left: [] },
]) {
  test(`segments: a restart leaves out ${name}, and what is written then is whole`, async (t) => {
    const folder = temporaryFolder();
    t.after(() => rm(folder, { recursive: true }));
    const ring = { tenantId: 't', owner: 'c', id: 'n' };
    const before = await open(folder, LIMITS);
    await before.append([{ ring, lines: ['one', 'two', 'three'].map(record) }]);
    await before.close();
    damage(join(folder, globSync('t/*.log', { cwd: folder })[0]!));
    const after = await open(folder, LIMITS);
    await after.append([{ ring, lines: [record('four')] }]);
    assert.deepEqual(await textsIn(after, 't'), [...left, 'four']);
  });
}

test('segments: a folder that can not be written is told once, and nobody fails', async (t) => {
  const folder = temporaryFolder();
  t.after(() => rm(folder, { recursive: true }));
  writeFileSync(join(folder, 'capture'), 'a file where the folder should be');
  const told: string[] = [];
  const segments = await open(join(folder, 'capture'), LIMITS, { warn: (_: object, text: string) => void told.push(text) } as never);
  for (let i = 0; i < 3; i++) await segments.append([{ ring: { tenantId: 't', owner: 'c', id: 'n' }, lines: [record('lost')] }]);
  assert.deepEqual(told, ['captured messages could not be written']);
});

test('segments: ids of any shape are names of files', async (t) => {
  const folder = temporaryFolder();
  t.after(() => rm(folder, { recursive: true }));
  const ring = { tenantId: '../t', owner: 'a/b~c', id: 'x:y~1' };
  const segments = await open(folder, LIMITS);
  await segments.append([{ ring, lines: [record('here')] }]);
  await segments.close();
  assert.deepEqual(await textsIn(await open(folder, LIMITS), '../t'), ['here']);
  assert.equal(globSync('**/*.log', { cwd: folder }).length, 1);
});

test('segments: lines are grouped by the room that there is', () => {
  assert.deepEqual(groupsOf(['aaa', 'bb', 'cccc', 'd'], 4, 5), [
    { text: 'aaa', bytes: 3 },
    { text: 'bb', bytes: 2 },
    { text: 'ccccd', bytes: 5 },
  ]);
  assert.deepEqual(groupsOf(['äö', 'far too long'], 0, 6), [{ text: 'äö', bytes: 4 }]);
});

test('segments: records are read as they were written, whatever is in them', () => {
  const json = JSON.stringify({ text: 'line\nbreak ü \u0000 🌡' });
  assert.deepEqual(
    Array.from(recordsIn(Buffer.from(lineOf(json) + lineOf('{}'))), (bytes) => bytes.toString()),
    [json, '{}'],
  );
});
