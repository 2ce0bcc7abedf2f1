import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Supervised, type Supervisor, supervise } from '../../start/supervisor.ts';
import { eventually, within } from '../support/wait.ts';

/** Programs of one line, named by what they do; none outlives a test that breaks off for long. */
const PROGRAMS: Readonly<Record<string, string>> = {
  stays: `console.log('ready'); setTimeout(() => {}, 15_000);`,
  refuses: `console.error('no server'); process.exitCode = 3;`,
  crashes: `console.log('ready'); process.exitCode = 7;`,
  deaf: `process.on('SIGTERM', () => {}); console.log('ready'); setTimeout(() => {}, 15_000);`,
};

interface Observed {
  readonly supervisor: Supervisor;
  /** `NAME: LINE` */
  readonly lines: string[];
  allReady: number;
}

const opened: Supervisor[] = [];
after(async () => {
  for (const each of opened) each.stop();
  await Promise.all(opened.map(({ ended }) => ended));
});

function observe(names: readonly string[], graceMs?: number): Observed {
  const lines: string[] = [];
  const processes = names.map((name): Supervised => ({ name, env: { ...process.env, PROGRAM: PROGRAMS[name]! } }));
  const observed: Observed = {
    lines,
    allReady: 0,
    supervisor: supervise({
      command: [process.execPath, '--eval', 'eval(process.env.PROGRAM)'],
      processes,
      ready: 'ready',
      print: (line, name = '') => void lines.push(`${name}: ${line}`),
      onAllReady: () => {
        observed.allReady++;
      },
      ...{ firstPauseMs: 10, longestPauseMs: 40, graceMs },
    }),
  };
  opened.push(observed.supervisor);
  return observed;
}

test('the first refuses: the others are not started, and its exit code is handed on', async () => {
  const { supervisor, lines, allReady } = observe(['refuses', 'stays']);
  assert.equal(await within(supervisor.ended, 'the end'), 3);
  assert.deepEqual([lines, allReady], [['refuses: no server'], 0]);
});

test('all are ready once, and stop ends all', async () => {
  const observed = observe(['stays', 'deaf'], 300);
  await eventually(() => observed.allReady === 1, 'all are ready');
  observed.supervisor.stop();
  assert.equal(await within(observed.supervisor.ended, 'the end'), 0);
  assert.deepEqual(observed.lines.map((line) => line.replace(/\d+/, 'N')).sort(), [
    ': process N does not end and is killed',
    'deaf: ready',
    'stays: ready',
  ]);
});

test('one that ends is started again, after pauses that grow up to a limit', async () => {
  const observed = observe(['stays', 'crashes']);
  const pauses = () => observed.lines.filter((line) => line.includes('started again'));
  await eventually(() => pauses().length >= 4, 'it ended four times', 10_000);
  observed.supervisor.stop();
  assert.equal(await within(observed.supervisor.ended, 'the end'), 0);
  assert.deepEqual(
    pauses().slice(0, 4),
    [0.01, 0.02, 0.04, 0.04].map((seconds) => `crashes: has ended (exit code 7) and is started again in ${seconds} s`),
  );
});

test('stop while one waits for its next start does not wait for it', async () => {
  const observed = observe(['stays', 'crashes']);
  await eventually(() => observed.lines.some((line) => line.includes('started again')), 'it ended');
  observed.supervisor.stop();
  assert.equal(await within(observed.supervisor.ended, 'the end', 2000), 0);
});
