import assert from 'node:assert/strict';
import test from 'node:test';
import { ruleNodes } from '#engine/api/rule-nodes.ts';
import { NotConnected } from '#engine/errors.ts';
import type { Backend, Change } from '#engine/queue.ts';

const tenantId = 't';
const change: Change = { collection: 'RULE_CHAIN_METADATA', tenantId, id: 'chain', removed: false };

/** A store whose reads are answered when the test says so, like those of a server. */
function plant() {
  let nodes: string[] = [];
  let listener: (changes: readonly Change[]) => void = () => {};
  const open: (() => void)[] = [];
  const answers: { away: boolean } = { away: false };
  const body = () => ({ nodes: nodes.map((id) => ({ id: { id } })) });
  const backend = {
    onChange(heard: typeof listener) {
      listener = heard;
      return () => {};
    },
    store: {
      async *everyDoc() {
        if (answers.away) throw new NotConnected('MongoDB');
        yield { tenantId, id: 'chain', body: body() };
      },
      async doc() {
        const read = { body: body() };
        await new Promise<void>((resolve) => open.push(resolve));
        if (answers.away) throw new NotConnected('MongoDB');
        return read;
      },
    },
  } as unknown as Backend;
  return {
    answers,
    find: (id: string) =>
      ruleNodes(backend)
        .find(id)
        .then((found) => found !== null),
    save(...ids: string[]) {
      nodes = ids;
      listener([change]);
    },
    async answer() {
      while (open.length === 0) await new Promise(setImmediate);
      open.shift()!();
    },
  };
}

test('who asks for a node while its chain is read waits for it', async () => {
  const { find, save, answer } = plant();
  assert.equal(await find('a'), false);
  save('a');
  const both = Promise.all([find('a'), find('a')]);
  await answer();
  assert.deepEqual(await both, [true, true]);
});

test('a chain that is saved while it is read is read again', async () => {
  const { find, save, answer } = plant();
  await find('a');
  save('a');
  const first = find('a');
  await new Promise(setImmediate);
  save('b');
  const second = find('b');
  await answer();
  await answer();
  assert.deepEqual(await Promise.all([first, second]), [false, true]);
});

test('what could not be read is read by the next one who asks', async () => {
  const { find, save, answer, answers } = plant();
  answers.away = true;
  await assert.rejects(find('a'), NotConnected);
  answers.away = false;
  assert.equal(await find('a'), false);
  save('a');
  answers.away = true;
  const failing = find('a');
  await answer();
  await assert.rejects(failing, NotConnected);
  answers.away = false;
  const found = find('a');
  await answer();
  assert.equal(await found, true);
});
