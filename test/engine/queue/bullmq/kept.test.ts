import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Fenced } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import type { Kept } from '#engine/store.ts';
import type { Work } from '#engine/work.ts';
import { message } from '#test/support/backend.ts';
import { eventually } from '#test/support/wait.ts';
import { type Installation, install, type Member, missingServer, originatorOf, type Servers, startServers, take } from './rig.ts';

const LANE = 1;

describe('messages that stay at a node, and several processes', { skip: missingServer() }, () => {
  let servers: Servers;
  let installation: Installation;
  let first: Member;
  let second: Member;
  before(async () => {
    servers = await startServers({ fsync: 'none' });
  });
  after(() => servers.close());
  beforeEach(async () => {
    await installation?.close();
    installation = await install(servers);
    first = await installation.start();
    second = await installation.start();
  });
  after(() => installation.close());

  const tenantId = newId();
  const nodeId = newId();
  const a = originatorOf(LANE);
  const kept = (data: string, fields: Partial<Kept> = {}): Kept => ({
    ...{ nodeId, kind: 'send', key: 'target', keptAt: 1000, attempts: 0, reason: null },
    ...fields,
    message: message(tenantId, a, data),
  });
  const end = ({ message: { id: messageId }, key }: Kept) => ({ tenantId, nodeId, key, messageId });
  const sends = async ({ queue }: Member) => (await queue.sends(LANE, { max: 100 })).map((entry) => entry.message.data);

  test('one of two that end the same at the same time is refused', async () => {
    const list = Array.from({ length: 6 }, (_, i) => kept(String(i)));
    await first.commit((work) => work.kept.push(...list));
    const outcomes = await Promise.allSettled(
      list.flatMap((each) => [first, second].map((member) => member.commit((work) => work.keptRemovals.push(end(each))))),
    );
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
    assert.equal(refused.length, 6);
    for (const cause of refused) assert.ok(cause instanceof Fenced, String(cause));
    assert.deepEqual(await sends(second), []);
  });

  test('who had the lane before ends and keeps nothing more', async () => {
    const [one, two] = [kept('1'), kept('2')];
    await installation.grant(LANE, first);
    await first.commit((work) => work.kept.push(one));
    const under = (epoch: number) => (work: Work) => {
      work.leases.push({ name: `lane:${LANE}`, epoch });
      work.keptRemovals.push(end(one));
      work.kept.push(two);
    };
    await installation.grant(LANE, second);
    await assert.rejects(first.commit(under(1)), Fenced);
    assert.deepEqual(await sends(second), ['1']);
    await second.commit(under(2));
    assert.deepEqual(await sends(first), ['2']);
  });

  test('what comes after a lane has moved is behind what was there, whatever the clocks say', async () => {
    const before = ['send', 'own'].map((kind, i) => kept(`before ${i}`, { kind: kind as Kept['kind'] }));
    await first.commit((work) => work.kept.push(...before));
    // By a clock that is an hour ahead.
    const { kept: stored } = installation.database.collections;
    await stored.updateMany({ tenantId, lane: LANE }, { $inc: { seq: 3_600_000 * 2 ** 14 } });
    await installation.grant(LANE, second);
    await second.commit((work) => work.messages.push(message(tenantId, a, 'x')));
    const batch = await take(second, LANE);
    await second.commit((work) => {
      work.done.push(batch);
      work.kept.push(kept('after'), kept('after', { kind: 'own' }));
    });
    assert.deepEqual((await second.queue.kept.read(tenantId, nodeId, { max: 10 })).map((entry) => entry.message.data).slice(-2), ['after', 'after']);
    assert.deepEqual((await sends(second)).slice(-2), ['before 0', 'after']);
  });

  test('every process knows how many there are', async () => {
    const list = Array.from({ length: 3 }, (_, i) => kept(String(i)));
    await first.commit((work) => work.kept.push(...list));
    assert.equal(first.queue.depth().kept, 3);
    await eventually(() => second.queue.depth().kept === 3, 'the other one has looked');
    await second.commit((work) => work.keptRemovals.push(end(list[0]!)));
    assert.equal(second.queue.depth().kept, 2);
    await eventually(() => first.queue.depth().kept === 2, 'and the first again');
  });

  test('a deleted tenant with many: they go before it does', async () => {
    const other = newId();
    for (let i = 0; i < 2; i++)
      await first.commit((work) => {
        for (let k = 0; k < 800; k++) work.kept.push({ ...kept(''), message: message(other, a, '{}') });
        if (i === 0) work.kept.push(kept('stays'));
      });
    const purge = (work: Work) => work.purges.push({ tenantId: other, entity: { entityType: 'TENANT', id: other } });
    await first.ahead(purge);
    assert.equal(await installation.database.collections.kept.countDocuments({ tenantId: other }), 600);
    await first.commit(purge);
    assert.equal(await installation.database.collections.kept.countDocuments({ tenantId: other }), 0);
    assert.equal(first.queue.depth().kept, 1);
    assert.deepEqual(await sends(first), ['stays']);
  });
});
