import assert from 'node:assert/strict';
import test from 'node:test';
import { createSystem } from '#actors/system.ts';
import { alone, type Cluster, type Holder } from '#engine/cluster.ts';
import { laneOf } from '#engine/queue.ts';
import { eventually, within } from '#test/support/wait.ts';

/** Lanes whose batch under way ends when the test says so, and a cluster that grants what the test grants. */
function plant() {
  const did: string[] = [];
  const batches = new Map<number, () => void>();
  let holder: Holder | undefined;
  const cluster: Pick<Cluster, 'hold'> = {
    hold(_kind, given) {
      holder = given;
    },
  };
  const system = createSystem({ cluster, lanes: 3 });
  system.start({
    work(lane) {
      did.push(`work ${lane}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      batches.set(lane, resolve);
      return {
        trouble: () => null,
        async stop() {
          did.push(`stop ${lane}`);
          await promise;
          did.push(`ended ${lane}`);
        },
      };
    },
    followers: [{ granted: (lane) => void did.push(`granted ${lane}`), revoked: async (lane) => void did.push(`revoked ${lane}`) }],
  });
  const lease = (lane: number, epoch: number) => ({ name: `lane:${lane}`, epoch });
  const grant = (lane: number, epoch: number) => holder!.granted(String(lane), lease(lane, epoch));
  return { system, did, batches, holder: holder!, grant, lease };
}
const originatorIn = (lane: number): string => Array.from({ length: 100 }, (_, n) => `device ${n}`).find((id) => laneOf(id, 3) === lane)!;

test('alone: every lane is worked from the start; stop waits for the batch under way of every lane', async () => {
  const ended: number[] = [];
  const system = createSystem({ cluster: alone({ version: '0' }), lanes: 3 });
  assert.equal(system.worked(), false);
  system.start({
    work: (lane) => ({
      trouble: () => null,
      async stop() {
        await new Promise((resolve) => setImmediate(resolve));
        ended.push(lane);
      },
    }),
  });
  assert.equal(system.worked(), true);
  const stopped = system.stop();
  assert.deepEqual([system.worked(), ended], [false, []]);
  await stopped;
  assert.deepEqual(ended.sort(), [0, 1, 2]);
});

test('a granted lane is worked; revoked, it is given on when its batch is finished and its devices are written', async () => {
  const { system, did, batches, holder, grant, lease } = plant();
  assert.deepEqual(holder.names(), ['0', '1', '2']);
  grant(1, 4);
  assert.deepEqual([system.leaseOf(originatorIn(1)), system.leaseOf(originatorIn(2))], [lease(1, 4), null]);
  let given = false;
  const revoked = holder.revoked('1').then(() => {
    given = true;
  });
  await eventually(() => did.includes('stop 1'), 'the stop');
  assert.deepEqual([given, system.leaseOf(originatorIn(1))], [false, lease(1, 4)]);
  batches.get(1)!();
  await within(revoked, 'the revocation');
  assert.deepEqual(did, ['work 1', 'granted 1', 'stop 1', 'ended 1', 'revoked 1']);
  assert.equal(system.leaseOf(originatorIn(1)), null);
  await system.stop();
});

test('taken away and given back before its batch was finished, it is worked again after that, under the new lease', async () => {
  const { system, did, batches, holder, grant, lease } = plant();
  grant(1, 4);
  const revoked = holder.revoked('1');
  grant(1, 6);
  assert.deepEqual(system.leaseOf(originatorIn(1)), lease(1, 4));
  batches.get(1)!();
  await within(revoked, 'the revocation');
  assert.deepEqual(did, ['work 1', 'granted 1', 'stop 1', 'ended 1', 'revoked 1', 'work 1', 'granted 1']);
  assert.deepEqual(system.leaseOf(originatorIn(1)), lease(1, 6));
  batches.get(1)!();
  await system.stop();
});

test('a system that stops takes no lane, and ends those that it has', async () => {
  const { system, did, batches, holder, grant } = plant();
  grant(0, 1);
  const stopped = system.stop();
  grant(2, 1);
  const revoked = holder.revoked('0');
  batches.get(0)!();
  await within(Promise.all([stopped, revoked, holder.revoked('2')]), 'the stop');
  assert.deepEqual(did, ['work 0', 'granted 0', 'stop 0', 'ended 0', 'revoked 0']);
});
