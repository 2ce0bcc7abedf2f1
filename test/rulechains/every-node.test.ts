import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { newId } from '#engine/id.ts';
import { ENTITY_TYPES, type Message } from '#engine/message.ts';
import type { AnyNode } from '#engine/node.ts';
import { openScriptEngine } from '#engine/script/pool.ts';
import { mapConfiguration } from '#engine/walk/mapping.ts';
import { Work } from '#engine/work.ts';
import { accidentIn, BAD_DATA, BAD_METADATA, spoiled } from '#test/support/bad-input.ts';
import { openEngine, type TestNode } from '#test/support/chain.ts';
import { ASSET, assertAccounted, before, CALLED, CUSTOMER, DEVICE, furnish, INNER, nameOf, setUp } from '#test/support/every-node.ts';
import { TENANT } from '#test/support/message.ts';

/** Every node, external ones apart, in the real engine over SQLite, with what nobody meant to send, to configure or to delete. */

const scripts = openScriptEngine({ hosts: 1 });
after(() => scripts.close());
const options = { services: { scripts }, compile: { scripts }, runner: { debugEventsPerHour: 1e9 } };
const debug = { failuresEnabled: true };
const SOME_DATA = ['an object', 'no JSON', 'objects as values'].map((wanted) => BAD_DATA.find(({ name }) => name === wanted)!.data);

for (const node of INNER) {
  const { type } = node;
  test(nameOf(node), async (t) => {
    const engine = await openEngine(t, { ...options, nodes: [node], chains: [{ id: 'root', nodes: [] }, CALLED] });
    await furnish(engine);
    const works: Work[] = [];
    const run = async (messages: readonly Message[]): Promise<void> => {
      await engine.append(messages);
      works.push(...(await engine.drain()));
      await assertAccounted(engine, works);
    };

    await t.test('any data and metadata, of any originator', async () => {
      const configs: TestNode[] = [
        { name: 'untouched', type, config: node.defaults, debug },
        { name: 'set up', type, config: setUp(node), debug },
      ];
      await engine.load({ id: 'data', nodes: configs });
      await run(
        configs.flatMap(({ name }) => [
          ...BAD_DATA.flatMap(({ data }) => BAD_METADATA.map((metadata) => before('data', name, { data, metadata }))),
          ...BAD_DATA.slice(0, 2).map(({ data }) => before('data', name, { data, dataType: 'TEXT', type: 'no type of ours' })),
          // Of each type one that is not there (any more).
          ...ENTITY_TYPES.map((entityType) => before('data', name, { originator: { entityType, id: newId() } })),
        ]),
      );
    });

    await t.test('a configuration of missing, unknown, null and wrongly typed keys', async () => {
      const configs = spoiled(setUp(node)).map(({ name, config }): TestNode => ({ name, type, config: config as TestNode['config'] & {}, debug }));
      const chain = await engine.load({ id: 'config', nodes: configs });
      const wrong = chain.nodes.flatMap(({ info, problem }) => {
        const { config } = configs.find(({ name }) => name === info.name)!;
        const isRight = maps(node, config)
          ? problem === null || accidentIn(problem) === null
          : problem === `Can't convert value: ${JSON.stringify(config)}`;
        return isRight ? [] : `${info.name}: ${problem}`;
      });
      assert.deepEqual(wrong, []);
      const metadata = { deviceName: 'x' };
      await run(configs.flatMap(({ name }) => SOME_DATA.map((data) => before('config', name, { data, metadata }))));
    });

    await t.test('its originator is deleted between two messages', async () => {
      await furnish(engine);
      await engine.load({ id: 'gone', nodes: [{ name: 'set up', type, config: setUp(node), debug }] });
      const originators = [DEVICE, ASSET, CUSTOMER];
      const messages = () => originators.map((originator) => before('gone', 'set up', { originator }));
      await run(messages());
      const gone = new Work();
      for (const entity of originators) {
        gone.docs.push({ remove: { collection: entity.entityType as 'DEVICE', tenantId: TENANT, id: entity.id } });
        gone.purges.push({ tenantId: TENANT, entity });
      }
      await engine.backend.commit(gone);
      await run(messages());
    });
  });
}

function maps(node: AnyNode, config: unknown): boolean {
  try {
    mapConfiguration(node, config);
    return true;
  } catch {
    return false;
  }
}
