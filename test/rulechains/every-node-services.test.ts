import { after, type TestContext, test } from 'node:test';
import type { AnyNode } from '#engine/node.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import type { Services } from '#engine/services.ts';
import type { RunnerDeps } from '#engine/walk/run.ts';
import type { Work } from '#engine/work.ts';
import { openEngine, type TestNode } from '#test/support/chain.ts';
import { ASSET, assertAccounted, before, CALLED, DEVICE, furnish, INNER, nameOf, setUp } from '#test/support/every-node.ts';
import { BUG, FAILURES, type Fault, faulty, isAwaited, nonsenseOf, SILENCE } from '#test/support/faulty-services.ts';

/** Every node, external ones apart, in the real engine, with services that throw, are late and answer nonsense. */

const scripts = openScriptEngine({ hosts: 1 });
after(() => scripts.close());

for (const node of INNER.filter(({ needs = [] }) => needs.length > 0)) {
  test(nameOf(node), async (t) => {
    const { run, called } = await plant(t, node);
    await run(null);
    for (const name of called) {
      for (const fault of [...FAILURES, ...nonsenseOf(name)]) await t.test(`${name} ${fault.name}`, () => run({ name, fault }));
      await t.test(`${name} ${BUG.name}`, () => run({ name, fault: BUG }, `bug in rule node ${node.type}`));
    }
    // One who waits for an answer that does not come would wait with every fault: this one is impatient.
    const impatient = await plant(t, node, { nodeTimeoutMs: 20 });
    for (const name of [...called].filter(isAwaited)) await t.test(`${name} ${SILENCE.name}`, () => impatient.run({ name, fault: SILENCE }));
  });
}

interface At {
  readonly name: string;
  readonly fault: Fault;
}

async function plant(t: TestContext, node: AnyNode, runner: Partial<RunnerDeps> = {}) {
  /** What the node has called so far. */
  const called = new Set<string>();
  let at: At | null = null;
  const around = (services: Services): Services =>
    faulty(services, (name) => {
      called.add(name);
      return at?.name === name ? at.fault : null;
    });
  const engine = await openEngine(t, {
    ...{ nodes: [node], chains: [{ id: 'root', nodes: [] }, CALLED], around },
    onConflict() {
      at = null;
    },
    ...{ services: { scripts }, compile: { scripts }, runner: { debugEventsPerHour: 1e9, ...runner } },
  });
  const { type } = node;
  const nodes: TestNode[] = [
    { name: 'set up', type, config: setUp(node), debug: { failuresEnabled: true } },
    // Else what passes by itself would be tried again until it does.
    { name: 'caught' },
  ];
  await engine.load({ id: 'walk', nodes, links: [['set up', 'Failure', 'caught']] });
  const works: Work[] = [];
  return {
    called,
    async run(fault: At | null, mayLog?: string): Promise<void> {
      await furnish(engine);
      at = fault;
      engine.log.length = 0;
      // Several at once: where the batch fails as a whole each is tried alone.
      await engine.append([DEVICE, DEVICE, ASSET].map((originator) => before('walk', 'set up', { originator })));
      works.push(...(await engine.drain()));
      await assertAccounted(engine, works, mayLog);
    },
  };
}
