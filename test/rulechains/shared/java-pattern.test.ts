import assert from 'node:assert/strict';
import test from 'node:test';
import { wholeMatch } from '#rulechains/shared/java-pattern.ts';

for (const { pattern, flags, yes = [], no = [] } of [
  { pattern: 'temp', yes: ['temp'], no: ['temperature', 'atemp', 'Temp', ''] },
  { pattern: '.*Key$', yes: ['aKey', 'Key'], no: ['Keys', 'key'] },
  { pattern: '(\\w*)Data(\\w*)', yes: ['Data', 'TempDataValue'], no: ['Temp-Data', 'data'] },
  { pattern: 'a|b', yes: ['a', 'b'], no: ['ab', 'ac'] },
  { pattern: '(?i)abc', yes: ['abc', 'ABC'], no: ['abcd'] },
  { pattern: '[\\p{Upper}]+', yes: ['ABC'], no: ['Abc'] },
  { pattern: '\\Qa.b\\E', yes: ['a.b'], no: ['axb'] },
  { pattern: '[^ ]+', yes: ['ключ'], no: ['a b'] },
  { pattern: '', yes: [''], no: ['a'] },
  { pattern: 'abc', flags: 'i', yes: ['ABC'] },
] as { pattern: string; flags?: string; yes?: string[]; no?: string[] }[])
  test(`pattern: ${pattern}`, () => {
    const match = wholeMatch(pattern, flags);
    // Twice: what is known already, too.
    for (let time = 0; time < 2; time++) assert.deepEqual([yes.filter((text) => !match(text)), no.filter(match)], [[], []]);
  });

for (const pattern of ['(', '[a', 'a{2,1}', '*']) test(`pattern: ${pattern} is none`, () => assert.throws(() => wholeMatch(pattern)));

for (const pattern of ['(a+)+b', '(a|a)*b', '(a*)*b', '.*.*.*.*.*.*.*.*b'])
  test(`pattern: ${pattern} fails in time`, () => {
    const started = Date.now();
    assert.throws(() => wholeMatch(pattern)('a'.repeat(5000)), /takes too long/);
    assert.ok(Date.now() - started < 1000);
    assert.equal(wholeMatch(pattern)('aab'), true);
  });
