import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { Type } from 'typebox';
import { createIntegrations } from '#actors/integrations.ts';
import { newDoc } from '#engine/entities.ts';
import { NotDurable } from '#engine/errors.ts';
import { newId } from '#engine/id.ts';
import { defineIntegration, type Uplinks } from '#engine/integration.ts';
import { Registry } from '#engine/registry.ts';
import { Config } from '#engine/schema.ts';
import type { ScriptEngine } from '#engine/script.ts';
import { openSecrets } from '#engine/secrets-aes.ts';
import type { Doc } from '#engine/store.ts';
import http from '#integrations/http/index.ts';
import { request } from '#test/contract/integration.ts';
import { echoScripts, uplink } from '#test/support/accept.ts';
import { commit, downlink, message, sqlite } from '#test/support/backend.ts';
import { TENANT } from '#test/support/message.ts';
import { type TestProcess, twoProcesses } from '#test/support/two-processes.ts';
import { eventually, within } from '#test/support/wait.ts';

/** A peer that the test is: every connection of it, by the process that made it. */
function openPeer() {
  const did: string[] = [];
  const connections = new Map<string, Uplinks>();
  const ofProcess = (id: string) =>
    defineIntegration({
      type: 'TEST',
      version: 1,
      label: 'test',
      summary: 'x',
      metadata: {},
      config: Config({ n: Type.Optional(Type.Integer()) }, { unknownKeys: 'keep' }),
      downlink: 'now',
      async connect(_config, _info, uplinks) {
        did.push(`${id} connects`);
        connections.set(id, uplinks);
        return {
          async send({ data }) {
            did.push(`${id} sends ${Buffer.from(data)}`);
            return 'delivered';
          },
          async close() {
            did.push(`${id} closes`);
          },
        };
      },
    });
  return { did, connections, ofProcess };
}

/** @param deaf b hears of no change. */
async function plant(t: TestContext, { deaf = false } = {}) {
  const running = await sqlite.start({ lanes: 1 });
  const { backend } = running;
  const processes = twoProcesses(backend);
  const peer = openPeer();
  const secrets = await openSecrets({ folder: running.folder });
  const errors: string[] = [];
  const open = async ({ backend: own, id }: TestProcess) => {
    const control = createIntegrations({
      backend: own,
      scripts: echoScripts() as unknown as ScriptEngine,
      types: new Registry([http, peer.ofProcess(id)]),
      secrets,
      devices: { activity: () => {} },
      server: id,
      now: Date.now,
      log: { error: (fields, text) => errors.push(`${text} ${String((fields as { err?: unknown }).err)}`) },
    });
    await control.start();
    return control;
  };
  const converter = (kind: string) =>
    newDoc({ collection: 'CONVERTER', tenantId: TENANT, name: kind, kind, body: { configuration: { encoder: 'x' } } }, 1);
  const [up, down] = [converter('UPLINK'), converter('DOWNLINK')];
  const integration = (type: string, fields: Record<string, unknown> = {}): Doc => {
    const routingKey = newId();
    const converters = { defaultConverterId: { entityType: 'CONVERTER', id: up.id }, downlinkConverterId: { entityType: 'CONVERTER', id: down.id } };
    const body = { enabled: true, allowCreateDevicesOrAssets: true, routingKey, ...converters, configuration: {}, ...fields };
    return newDoc({ collection: 'INTEGRATION', tenantId: TENANT, name: type, kind: type, uniqueKey: routingKey, body }, 1);
  };
  const save = (...docs: Doc[]) => commit(backend, (work) => work.docs.push(...docs.map((doc) => ({ doc }))));
  await save(up, down);
  const [a, b] = [
    await open(processes.a),
    await open(deaf ? { ...processes.b, backend: { ...processes.b.backend, onChange: () => () => {} } } : processes.b),
  ];
  const lifecycle = async ({ id }: Doc): Promise<string[]> => {
    const { data } = await backend.store.events(TENANT, { entityType: 'INTEGRATION', id }, { type: 'LC_EVENT', order: 'ASC' });
    return data.map(({ body }) => `${body['server']} ${body['event']}`);
  };
  const stateOf = (control: typeof a, { id }: Doc) => control.status(id)?.state ?? null;
  t.after(async () => {
    await Promise.all([a.stop(), b.stop()]);
    await running.stop();
    assert.deepEqual(errors, []);
  });
  return { backend, processes, peer, a, b, integration, save, lifecycle, stateOf, errors };
}

test('a chain that is ahead of the news finds the integration that was saved just now', async (t) => {
  const { b, integration, save } = await plant(t, { deaf: true });
  const doc = integration('TEST');
  await save(doc);
  assert.equal(b.downlinkTarget(TENANT, doc.id), null);
  assert.equal((await b.findDownlinkTarget(TENANT, doc.id))?.delivery, 'now');
  assert.equal(await b.findDownlinkTarget(TENANT, newId()), null);
  assert.equal(await b.findDownlinkTarget(newId(), doc.id), null);
});

test('a request that is ahead of the news finds the integration that was saved just now', async (t) => {
  const { b, integration, save } = await plant(t, { deaf: true });
  const doc = integration('HTTP');
  await save(doc);
  const status = async (key: string) => (await b.inbound('http', key, request({ body: Buffer.from('[]') }))).status;
  assert.deepEqual([await status(doc.uniqueKey!), await status('unknown')], [204, 404]);
});

test('a peer has one client: it is connected where the lease is, moves with it, and everybody knows how it is', async (t) => {
  const { processes, peer, a, b, integration, save, lifecycle, stateOf } = await plant(t);
  const doc = integration('TEST');
  await save(doc);
  await eventually(() => b.status(doc.id) !== null && a.status(doc.id) !== null, 'known');
  const { state, reason } = b.status(doc.id)!;
  assert.deepEqual([state, reason, peer.did], ['connecting', 'No process with the role integrations runs it yet', []]);
  assert.equal(b.downlinkTarget(TENANT, doc.id)?.problem, null, 'what waits for a process is no reason to refuse downlinks');

  await processes.move('integration', doc.id, processes.a);
  await eventually(() => stateOf(a, doc) === 'active' && stateOf(b, doc) === 'active', 'active');
  assert.deepEqual({ ...b.status(doc.id), lastUplinkAt: null }, { ...a.status(doc.id), lastUplinkAt: null });

  await processes.move('integration', doc.id, processes.b);
  assert.deepEqual(peer.did.slice(0, 2), ['a connects', 'a closes'], 'closed before it is given on');
  await eventually(() => stateOf(b, doc) === 'active' && stateOf(a, doc) === 'active', 'active there');
  assert.deepEqual(peer.did, ['a connects', 'a closes', 'b connects']);
  await eventually(async () => (await lifecycle(doc)).length === 3, 'the events');
  assert.deepEqual((await lifecycle(doc)).toSorted(), ['a STARTED', 'a STOPPED', 'b STARTED']);

  peer.connections.get('b')!.lost(new Error('gone'));
  await eventually(() => stateOf(a, doc) === 'backing-off', 'the other process sees it');
  assert.equal(a.status(doc.id)?.reason, 'gone');
});

test('an edit reaches the connection wherever it is saved; disabled and deleted it ends once', async (t) => {
  const { processes, peer, a, b, integration, save, lifecycle, stateOf, backend } = await plant(t);
  const doc = integration('TEST');
  await save(doc);
  await eventually(() => a.status(doc.id) !== null, 'known');
  await processes.move('integration', doc.id, processes.a);
  await eventually(() => stateOf(a, doc) === 'active', 'active');
  await save({ ...doc, body: { ...doc.body, enabled: false } });
  await eventually(() => stateOf(a, doc) === 'disabled' && stateOf(b, doc) === 'disabled', 'disabled');
  await processes.move('integration', doc.id, null);
  await save(doc);
  await eventually(() => stateOf(b, doc) === 'connecting', 'enabled again');
  await processes.move('integration', doc.id, processes.b);
  await eventually(() => stateOf(b, doc) === 'active', 'active there');
  await commit(backend, (work) => work.docs.push({ remove: { collection: 'INTEGRATION', tenantId: TENANT, id: doc.id } }));
  await eventually(() => a.status(doc.id) === null && b.status(doc.id) === null, 'deleted');
  await processes.move('integration', doc.id, null);
  assert.deepEqual(peer.did, ['a connects', 'a closes', 'b connects', 'b closes']);
  await eventually(async () => (await lifecycle(doc)).length === 4, 'the events');
  assert.deepEqual((await lifecycle(doc)).toSorted(), ['a STARTED', 'a STOPPED', 'b STARTED', 'b STOPPED']);
});

test('taken over: what the old connection still brings is not stored, and its peer is not acknowledged', async (t) => {
  const { backend, processes, peer, a, b, integration, save, stateOf } = await plant(t);
  const doc = integration('TEST');
  await save(doc);
  await eventually(() => a.status(doc.id) !== null, 'known');
  await processes.move('integration', doc.id, processes.a);
  await eventually(() => stateOf(a, doc) === 'active', 'active');
  const say = (n: number) => uplink({ deviceName: 'D', deviceType: 't', telemetry: { n } });
  await peer.connections.get('a')!.accept(say(1));
  const taken = processes.seize('integration', doc.id, processes.b);
  await assert.rejects(peer.connections.get('a')!.accept(say(2)), NotDurable);
  await eventually(() => stateOf(b, doc) === 'active', 'active there');
  await peer.connections.get('b')!.accept(say(2));
  await taken.told();
  const { uplinks } = await backend.store.ledger(TENANT, doc.id);
  assert.deepEqual(uplinks, { received: 2, converted: 2, empty: 0, dead: 0, inFlight: 0 });
  assert.equal(a.status(doc.id)?.state, 'active', 'where it is now');
});

test('downlinks are sent where the connection is; one that was taken over counts none', async (t) => {
  const { backend, processes, peer, a, integration, save, stateOf } = await plant(t);
  const doc = integration('TEST');
  await save(doc);
  await eventually(() => a.status(doc.id) !== null, 'known');
  await processes.move('integration', doc.id, processes.a);
  await eventually(() => stateOf(a, doc) === 'active', 'active');
  const entity = { entityType: 'DEVICE', id: newId() } as const;
  const push = (text: string) =>
    commit(backend, (work) => {
      const output = JSON.stringify({ contentType: 'TEXT', data: text, metadata: {} });
      work.downlinks.push(
        downlink({ tenantId: TENANT, integrationId: doc.id, entity, delivery: 'now', policy: 'fifo', message: message(TENANT, entity, output) }),
      );
      work.count(TENANT, doc.id, 'downlinks.created');
    });
  const sent = async () => (await backend.store.ledger(TENANT, doc.id)).downlinks.sent;
  await push('1');
  await eventually(async () => (await sent()) === 1, 'sent');
  const taken = processes.seize('integration', doc.id, processes.b);
  await push('2');
  await eventually(() => peer.did.some((text) => text.endsWith('sends 2')), 'sent somewhere');
  await within(taken.told(), 'the end of the old one');
  await eventually(async () => (await sent()) === 2, 'counted once');
  assert.ok(peer.did.includes('b sends 2'), 'and by the one who has it');
});

test('HTTP types answer in every process; one of them says what became of it; both together show what was seen', async (t) => {
  const { processes, a, b, integration, save, lifecycle, stateOf, backend } = await plant(t);
  const doc = integration('HTTP', { configuration: { enableSecurity: false } });
  await save(doc);
  await eventually(() => a.status(doc.id) !== null && b.status(doc.id) !== null, 'known');
  assert.deepEqual([stateOf(a, doc), stateOf(b, doc)], ['active', 'active'], 'also before anybody has it');
  await processes.move('integration', doc.id, processes.b);
  const send = (control: typeof a, n: number) =>
    control.inbound(
      'http',
      String(doc.body['routingKey']),
      request({ body: Buffer.from(JSON.stringify({ deviceName: 'D', deviceType: 't', telemetry: { n } })) }),
    );
  assert.deepEqual([(await send(a, 1)).status, (await send(b, 2)).status, (await send(b, 3)).status], [204, 204, 204]);
  assert.equal((await backend.store.ledger(TENANT, doc.id)).uplinks.converted, 3);
  await eventually(() => [a, b].every((control) => control.statistics(doc.id).at(-1) === 3), 'the sum in both');
  assert.equal(a.status(doc.id)?.lastUplinkAt, b.status(doc.id)?.lastUplinkAt);
  assert.deepEqual(await lifecycle(doc), ['b STARTED']);
});

test('a process that stops tells nobody that the integration is disabled', async (t) => {
  const { processes, a, b, integration, save, stateOf } = await plant(t);
  const doc = integration('TEST');
  await save(doc);
  await eventually(() => a.status(doc.id) !== null, 'known');
  await processes.move('integration', doc.id, processes.a);
  await eventually(() => stateOf(b, doc) === 'active', 'active');
  await a.stop();
  assert.deepEqual([stateOf(b, doc), b.downlinkTarget(TENANT, doc.id)?.problem], ['active', null]);
  await processes.move('integration', doc.id, processes.b);
  await eventually(() => b.status(doc.id)?.state === 'active', 'taken over');
});
