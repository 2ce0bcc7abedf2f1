import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Observation } from '#engine/store/mongo/observation.ts';

type Look = readonly [sign: string | null, askedAt: number, answeredAt?: number];

for (const { name, looks, silentMs } of [
  { name: 'the first look says nothing', looks: [['1', 0]], silentMs: 0 },
  {
    name: 'silence is what lies between looks',
    looks: [
      ['1', 0],
      ['1', 1000],
      ['1', 2000],
    ],
    silentMs: 2000,
  },
  {
    name: 'from the first answer to the last question',
    looks: [
      ['1', 0, 300],
      ['1', 1000, 1500],
      ['1', 2000, 2400],
    ],
    silentMs: 1700,
  },
  {
    name: 'a sign of life ends it',
    looks: [
      ['1', 0],
      ['1', 1000],
      ['2', 2000],
      ['2', 3000],
    ],
    silentMs: 1000,
  },
  {
    name: 'a sign that goes back is one too',
    looks: [
      ['2', 0],
      ['2', 1000],
      ['1', 2000],
    ],
    silentMs: 0,
  },
  {
    name: 'after a gap it begins anew',
    looks: [
      ['1', 0],
      ['1', 1000],
      ['1', 30_000],
      ['1', 31_000],
    ],
    silentMs: 1000,
  },
  {
    name: 'an answer that was long in coming is a gap',
    looks: [
      ['1', 0],
      ['1', 1000, 31_000],
    ],
    silentMs: 0,
  },
  {
    name: 'also when it is asked again at once',
    looks: [
      ['1', 0],
      ['1', 1000, 31_000],
      ['1', 31_000],
      ['1', 32_000],
    ],
    silentMs: 1000,
  },
  {
    name: 'two looks that are just close enough',
    looks: [
      ['1', 0],
      ['1', 2000],
      ['1', 4000],
    ],
    silentMs: 4000,
  },
  {
    name: 'one that was away is new',
    looks: [
      ['1', 0],
      [null, 1000],
      ['1', 2000],
      ['1', 3000],
    ],
    silentMs: 1000,
  },
  {
    name: 'one that is not there has no silence',
    looks: [
      ['1', 0],
      ['1', 1000],
      [null, 2000],
    ],
    silentMs: 0,
  },
] as { name: string; looks: Look[]; silentMs: number }[])
  test(`observation: ${name}`, () => {
    const observation = new Observation({ gapMs: 2000 });
    for (const [sign, askedAt, answeredAt = askedAt] of looks) observation.look(new Map(sign === null ? [] : [['a', sign]]), askedAt, answeredAt);
    assert.equal(observation.silentMs('a'), silentMs);
  });
