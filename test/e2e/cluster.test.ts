import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import { type Client, clientOf } from '../support/client.ts';
import { type ClusterProcess, type ProductCluster, startCluster } from '../support/cluster.ts';
import type { Answer } from '../support/product.ts';
import { type Broker, missing, mosquittoPub, mosquittoSub, startMosquitto } from '../support/servers.ts';
import {
  activeIntegration,
  attributes,
  createDownlinkConverter,
  createInboundIntegration,
  createMqttIntegration,
  createUplinkConverter,
  deviceByName,
  eventually,
  inboundPath,
  integrationStatus,
  latest,
  ledgerFaults,
  ledgerOf,
  pushToIntegration,
  SAVE_ATTRIBUTES,
  SAVE_TELEMETRY,
  saveChain,
  scriptFilter,
  storedNumbers,
} from '../support/tenant.ts';

/** Two processes of each role: what is asked of one is done by another, and every api process says the same. */

const skip = missing('mosquitto') || missing('redis') || missing('mongo');

const decoder = (version: number) => `const m = JSON.parse(String.fromCharCode.apply(String, payload));
return { deviceName: m.device, deviceType: 'meter', telemetry: { ts: m.n || Date.now(), values: { n: m.n, version: ${version} } } };`;
const ENCODER = `return { contentType: 'JSON', data: JSON.stringify(msg), metadata: { topic: 'plant/down' } };`;

/** A change is used everywhere within a second; a busy machine may take another. The look for lost news comes later. */
const NEWS_MS = 2000;
const LOST_NEWS_MS = 10_000;

describe('several processes', { skip }, () => {
  let broker: Broker;
  let cluster: ProductCluster;
  /** The same REST through the one api process and the other. */
  let one: ProductCluster;
  let two: ProductCluster;
  let uplink: Answer;
  let downlink: Answer;
  let plant: Answer;
  let meters: Answer;
  let root: Answer;

  /** The face of the cluster, spoken to through another of its api processes. */
  function through(process: ClusterProcess): ProductCluster {
    const url = `http://127.0.0.1:${process.port}`;
    const client = clientOf(url);
    client.token = cluster.token;
    return Object.assign(Object.create(cluster), client, { url });
  }
  const post = (by: Client, integration: Answer, body: object) =>
    by.request('POST', inboundPath(integration), body, { token: null }).then(({ status, text }) => ({ status, text }));
  const setShared = (by: Client, device: Answer, values: object) =>
    by.call('POST', `/api/plugins/telemetry/DEVICE/${device.id.id}/SHARED_SCOPE`, values);
  const downlinks = async (by: Client, device: Answer): Promise<Answer[]> =>
    (await by.call('GET', `/api/device/${device.id.id}/downlinks?pageSize=20&page=0`)).data;
  const states = async (by: Client, device: Answer): Promise<string[]> => (await downlinks(by, device)).map(({ state }) => state).sort();
  const device = (by: ProductCluster, name: string) => eventually(`device ${name} is there`, () => deviceByName(by, name));
  const holderOf = async (integration: Answer) => (await cluster.list()).find(({ integrations }) => integrations.includes(integration.id.id)) ?? null;

  before(async () => {
    [broker, cluster] = await Promise.all([startMosquitto(), startCluster({ api: 2, integrations: 2, rules: 2 })]);
    const [first, second] = cluster.of('api');
    one = through(first!);
    two = through(second!);
    uplink = await createUplinkConverter(one, 'up', decoder(1));
    downlink = await createDownlinkConverter(one, 'down', ENCODER);
    plant = await createMqttIntegration(one, { name: 'plant', uplink, downlink, port: broker.port, filters: ['plant/+/up'] });
    meters = await createInboundIntegration(one, { name: 'meters', uplink, downlink });
    await activeIntegration(two, plant);
    root = await saveChain(one, 'root', {
      switch: {
        type: 'filter.TbMsgTypeSwitchNode',
        to: { 'Post telemetry': 'save', 'Post attributes': 'attributes', 'Attributes Updated': 'which', 'RPC Request to Device': 'call' },
      },
      save: SAVE_TELEMETRY,
      attributes: SAVE_ATTRIBUTES,
      which: { ...scriptFilter(`return 'period' in msg;`), to: { True: 'meters', False: 'plant' } },
      plant: pushToIntegration(plant),
      meters: pushToIntegration(meters),
      call: { type: 'rpc.TbSendRPCRequestNode', configuration: { timeoutInSeconds: 60 } },
    });
  });
  after(async () => {
    await cluster?.close();
    await broker?.close();
  });

  test('an uplink over MQTT is stored, and both api processes say so', async () => {
    await mosquittoPub(broker, 'plant/M-1/up', '{"device":"M-1","n":1}');
    const { id } = await device(two, 'M-1');
    await eventually('it is stored', async () => (await latest(two, id.id, ['n']))['n'] === 1);
    const ledgers = await Promise.all([one, two].map((each) => ledgerOf(each, plant)));
    assert.deepEqual(ledgers[0], ledgers[1]);
    assert.deepEqual(ledgerFaults(ledgers[0]!), []);
  });

  test('a downlink waits for the next uplink, whichever api process answers that: the last one, once', async () => {
    assert.deepEqual(await post(one, meters, { device: 'H-1', n: 1 }), { status: 204, text: '' });
    const found = await device(two, 'H-1');
    await setShared(one, found, { period: 60 });
    await setShared(two, found, { period: 90 });
    await eventually('both have gone their way', async () => (await states(one, found)).join() === 'QUEUED,REPLACED');
    assert.deepEqual(await post(two, meters, { device: 'H-1', n: 2 }), { status: 200, text: '{"period":90}' });
    assert.deepEqual(await post(one, meters, { device: 'H-1', n: 3 }), { status: 204, text: '' });
    await eventually('it is delivered', async () => (await states(one, found)).join() === 'DELIVERED,REPLACED');
    const { downlinks: counts } = await ledgerOf(two, meters);
    assert.deepEqual(counts, { created: 2, sent: 1, pending: 0, replaced: 1, expired: 0, failed: 0 });
  });

  test('all of them, one an answer, when the integration says so', async () => {
    const queue = await createInboundIntegration(one, { name: 'queue', uplink, downlink, configuration: { downlinkPolicy: 'fifo' } });
    const chain = await saveChain(
      one,
      'to the queue',
      { switch: { type: 'filter.TbMsgTypeSwitchNode', to: { 'Attributes Updated': 'push' } }, push: pushToIntegration(queue) },
      { root: false },
    );
    const profile = await one.call('GET', '/api/deviceProfileInfo/default');
    const full = await one.call('GET', `/api/deviceProfile/${profile.id.id}`);
    const own = await one.call('POST', '/api/deviceProfile', {
      ...full,
      id: undefined,
      createdTime: undefined,
      version: undefined,
      name: 'queued',
      default: false,
      defaultRuleChainId: chain.id,
    });
    const found = await one.call('POST', '/api/device', { name: 'F-1', deviceProfileId: own.id });
    for (const period of [1, 2, 3]) await setShared(period === 2 ? two : one, found, { period });
    await eventually('all wait', async () => (await states(two, found)).join() === 'QUEUED,QUEUED,QUEUED');
    const answers: string[] = [];
    for (const by of [two, one, two, one]) answers.push((await post(by, queue, { device: 'F-1', n: 1 })).text);
    assert.deepEqual(answers, ['{"period":1}', '{"period":2}', '{"period":3}', '']);
  });

  test('a client that hangs up leaves its downlink to the next uplink, through the other api process', async () => {
    await post(one, meters, { device: 'H-2', n: 1 });
    const found = await device(one, 'H-2');
    await setShared(one, found, { period: 5 });
    await eventually('it waits', async () => (await states(two, found)).join() === 'QUEUED');
    const body = '{"device":"H-2","n":2}';
    const socket = connectTcp(one.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(
      `POST ${inboundPath(meters)} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      () => socket.resetAndDestroy(),
    );
    await eventually('the uplink was taken', async () => (await latest(two, found.id.id, ['n']))['n'] === 2);
    // Until the process that had taken it has put it back, there is none for the others.
    await eventually('the other has it', async () => (await post(two, meters, { device: 'H-2', n: 3 })).text === '{"period":5}');
    await eventually('it is delivered once', async () => (await states(one, found)).join() === 'DELIVERED');
  });

  test('an attribute set by REST is published, and the other api process tells its life', async () => {
    const subscription = await mosquittoSub(broker, 'plant/down');
    try {
      const found = await device(one, 'M-1');
      await setShared(one, found, { valve: 60 });
      assert.deepEqual(await subscription.next(), { topic: 'plant/down', payload: '{"valve":60}' });
      await eventually('it is delivered', async () => (await states(two, found)).join() === 'DELIVERED');
      const [sent] = await downlinks(two, found);
      assert.deepEqual(
        sent.history.map(({ state }: Answer) => state),
        ['QUEUED', 'CONVERTED', 'SENT', 'DELIVERED'],
      );
      assert.deepEqual(await one.call('GET', `/api/downlink/${sent.id}`), sent);
    } finally {
      await subscription.close();
    }
  });

  test('a two-way call finds the device at the other api process, and its answer the caller', async () => {
    const { id } = await one.call('POST', '/api/device', { name: 'R-1', type: 'valve' });
    const { credentialsId } = await two.call('GET', `/api/device/${id.id}/credentials`);
    const asDevice = (by: Client, method: string, path: string, body?: object) =>
      by.request(method, `/api/v1/${credentialsId}/rpc${path}`, body, { token: null });
    const session = asDevice(two, 'GET', '?timeout=20000');
    // The session is open when the request is with the server; a call that comes before it is answered 504 and made again.
    const called = eventually('the call is answered', async () => {
      const answer = await one.request('POST', `/api/rpc/twoway/${id.id}`, { method: 'open', params: { percent: 30 }, timeout: 5000 });
      return answer.status === 200 && answer.json;
    });
    const { json: request } = await session;
    assert.deepEqual([request.method, request.params], ['open', { percent: 30 }]);
    // It answers at whichever process its load balancer gives it.
    await asDevice(one, 'POST', `/${request.id}`, { opened: true });
    assert.deepEqual(await called, { opened: true });
  });

  /** When a change was used for the first time, ms after it was saved. Sends meanwhile; `used` says the number of the first message it was used for. */
  async function usedAfter(savedAt: number, deadlineMs: number, send: (n: number) => Promise<unknown>, used: () => Promise<number | null>) {
    const sentAt = new Map<number, number>();
    const first = await eventually(
      'the change is used',
      async () => {
        const n = Date.now();
        sentAt.set(n, n);
        await send(n);
        return used();
      },
      { deadlineMs: deadlineMs + 10_000, everyMs: 50 },
    );
    return (sentAt.get(first) ?? Number.POSITIVE_INFINITY) - savedAt;
  }
  const firstOfVersion = async (name: string, version: number): Promise<number | null> => {
    const found = await deviceByName(two, name).catch(() => null);
    if (!found) return null;
    const answer = await two.call(
      'GET',
      `/api/plugins/telemetry/DEVICE/${found.id.id}/values/timeseries/history?keys=version&startTs=0&endTs=9000000000000&agg=NONE&limit=1000&orderBy=ASC&useStrictDataTypes=true`,
    );
    return (answer.version ?? []).find((each: Answer) => each.value === version)?.ts ?? null;
  };
  const saveConverter = async (version: number) => {
    uplink = await one.call('POST', '/api/converter', { ...uplink, configuration: { scriptLang: 'JS', decoder: decoder(version) } });
    return Date.now();
  };

  test('a converter saved through one api process is used by the other, and by the process of the integration', async () => {
    const savedAt = await saveConverter(2);
    const took = await Promise.all([
      usedAfter(
        savedAt,
        NEWS_MS,
        (n) => post(two, meters, { device: 'H-3', n }),
        () => firstOfVersion('H-3', 2),
      ),
      usedAfter(
        savedAt,
        NEWS_MS,
        (n) => mosquittoPub(broker, 'plant/M-3/up', JSON.stringify({ device: 'M-3', n })),
        () => firstOfVersion('M-3', 2),
      ),
    ]);
    assert.ok(Math.max(...took) <= NEWS_MS, `used after ${took.join(', ')} ms`);
  });

  test('a rule chain saved through one api process is used in every lane', async () => {
    const names = Array.from({ length: 12 }, (_, i) => `L-${i}`);
    const lanesOf = (await cluster.list()).filter(({ lanes }) => lanes.length > 0);
    assert.equal(lanesOf.length, 2);
    const send = (by: Client, n: number) => Promise.all(names.map((name) => post(by, meters, { device: name, n })));
    await send(one, 1);
    await saveChain(one, 'marking', {
      mark: {
        type: 'transform.TbTransformMsgNode',
        configuration: { scriptLang: 'JS', jsScript: 'msg.marked = msg.n; return {msg: msg, metadata: metadata, msgType: msgType};', tbelScript: '' },
        to: { Success: 'save' },
      },
      save: SAVE_TELEMETRY,
    });
    const savedAt = Date.now();
    const took = await usedAfter(
      savedAt,
      NEWS_MS,
      (n) => send(two, n),
      async () => {
        const found = await Promise.all(names.map((name) => deviceByName(one, name)));
        const marked = await Promise.all(found.map(async ({ id }) => (await storedNumbers(one, id.id, 'marked'))[0]));
        return marked.every((n) => n !== undefined) ? Math.max(...(marked as number[])) : null;
      },
    );
    assert.ok(took <= NEWS_MS, `used after ${took} ms`);
    await one.call('POST', `/api/ruleChain/${root.id.id}/root`);
  });

  test('news that Redis has lost are made up for', async () => {
    const redis = new Redis(cluster.redis.url);
    try {
      await redis.call('ACL', 'SETUSER', 'default', '-publish');
      const savedAt = await saveConverter(3);
      const took = await usedAfter(
        savedAt,
        LOST_NEWS_MS,
        (n) => post(two, meters, { device: 'H-3', n }),
        () => firstOfVersion('H-3', 3),
      );
      assert.ok(took <= LOST_NEWS_MS, `used after ${took} ms`);
    } finally {
      await redis.call('ACL', 'SETUSER', 'default', '+publish');
      redis.disconnect();
    }
  });

  test('an integration is saved, disabled, enabled, and deleted; both api processes tell its status', async () => {
    const status = async (integration: Answer) =>
      Promise.all([one, two].map(async (by) => (await integrationStatus(by, integration))?.success ?? null));
    const becomes = (integration: Answer, what: boolean | null) =>
      eventually(`both say ${what}`, async () => (await status(integration)).every((each) => each === what));
    const refuse = (by: Client, integration: Answer) => post(by, integration, { device: 'S-1', n: 1 }).then(({ status: code }) => code);
    let broken = await createMqttIntegration(one, { name: 'broken', uplink, port: 1, filters: ['x'] });
    await becomes(broken, false);
    broken = await one.call('POST', '/api/integration', {
      ...(await one.call('GET', `/api/integration/${broken.id.id}`)),
      configuration: { ...broken.configuration, clientConfiguration: { ...broken.configuration.clientConfiguration, port: broker.port } },
    });
    await becomes(broken, true);
    await one.call('DELETE', `/api/integration/${broken.id.id}`);
    await becomes(broken, null);
    await eventually('nobody runs it', async () => (await holderOf(broken)) === null);

    let inbound = await createInboundIntegration(two, { name: 'off and on', uplink });
    const becomesCode = (code: number) =>
      eventually(`both answer ${code}`, async () => (await Promise.all([one, two].map((by) => refuse(by, inbound)))).every((each) => each === code));
    await becomesCode(204);
    for (const enabled of [false, true]) {
      inbound = await two.call('POST', '/api/integration', { ...inbound, enabled });
      await becomesCode(enabled ? 204 : 503);
    }
    await two.call('DELETE', `/api/integration/${inbound.id.id}`);
    await becomesCode(404);
  });

  test('the processes: who they are and what they do, whomever one asks', async () => {
    const [here, there] = await Promise.all([one, two].map((by) => by.call('GET', '/api/system/processes')));
    const shape = (all: Answer[]) => all.map(({ pid, roles, lanes }) => ({ pid, roles, lanes })).sort((a, b) => a.pid - b.pid);
    assert.deepEqual(shape(here), shape(there));
    assert.deepEqual(
      here.map(({ pid, roles }: Answer) => `${roles} ${pid}`).sort(),
      cluster.processes.map(({ roles, pid }) => `${roles} ${pid}`).sort(),
    );
    assert.deepEqual(
      here.flatMap(({ lanes }: Answer) => lanes).sort((a: number, b: number) => a - b),
      Array.from({ length: 16 }, (_, lane) => lane),
    );
    assert.deepEqual(
      here.map(({ integrations }: Answer) => integrations.filter((id: string) => id === plant.id.id).length).sort(),
      [0, 0, 0, 0, 0, 1],
    );
  });

  test('the process that runs an integration is killed: another takes over, and both api processes tell it', async () => {
    const victim = (await holderOf(plant))!;
    const process = cluster.processes.find(({ pid }) => pid === victim.pid)!;
    await process.kill();
    const killedAt = Date.now();
    const next = await eventually('another has it', async () => {
      const holder = await holderOf(plant);
      return holder !== null && holder.pid !== victim.pid && holder;
    });
    assert.ok(Date.now() - killedAt <= 10_000);
    assert.deepEqual(next.roles, ['integrations']);
    for (const by of [one, two]) await activeIntegration(by, plant);
    await mosquittoPub(broker, 'plant/M-4/up', '{"device":"M-4","n":4}');
    const { id } = await device(two, 'M-4');
    await eventually('it is stored', async () => (await latest(one, id.id, ['n']))['n'] === 4);
    await process.start();
  });

  test('a device becomes inactive although the process of its lane has ended meanwhile', async () => {
    const names = Array.from({ length: 6 }, (_, i) => `I-${i}`);
    const devices = await Promise.all(names.map((name) => one.call('POST', '/api/device', { name, type: 'watched' })));
    const active = async ({ id }: Answer) => (await attributes(two, id.id, 'SERVER_SCOPE'))['active'];
    await Promise.all(devices.map(({ id }) => one.call('POST', `/api/plugins/telemetry/DEVICE/${id.id}/SERVER_SCOPE`, { inactivityTimeout: 4000 })));
    await Promise.all(names.map((name) => post(one, meters, { device: name, n: 1 })));
    await eventually('all are active', async () => (await Promise.all(devices.map(active))).every((each) => each === true));
    const [first] = cluster.of('rules');
    await first!.kill();
    await eventually('all are inactive', async () => (await Promise.all(devices.map(active))).every((each) => each === false), {
      deadlineMs: 20_000,
    });
    await first!.start();
    await cluster.settled();
  });

  test('in the end the ledger adds up', async () => {
    for (const integration of [plant, meters]) {
      const ledger = await eventually('nothing is in flight', async () => {
        const now = await ledgerOf(two, integration);
        return now.messages.inFlight === 0 && now.uplinks.inFlight === 0 && now;
      });
      assert.deepEqual(ledgerFaults(ledger), []);
      assert.deepEqual([ledger.uplinks.dead, ledger.messages.dead], [0, 0]);
    }
  });
});
