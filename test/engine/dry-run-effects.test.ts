import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DryRunRequest } from '#engine/walk/dry-run.ts';
import { allEffects, type DryRuns, type Given, INTEGRATION, js, NOBODY, NOW, openDryRuns, outcomes, type Shown } from '#test/support/dry-run.ts';
import type { GraphNode } from '#test/support/graph.ts';

/** Every kind of effect, by one node that has it. */

let runs: DryRuns;
before(async () => {
  runs = await openDryRuns();
});
after(() => runs.close());

const related = { entityType: 'ASSET', entityNamePattern: 'House', relationType: 'Contains', direction: 'FROM' };

interface Row {
  readonly name: string;
  readonly node: Omit<GraphNode, 'name'>;
  readonly message?: Given;
  readonly answers?: DryRunRequest['answers'];
  readonly effects: readonly object[];
  readonly outcome?: string;
}

const ROWS: readonly Row[] = [
  {
    name: 'telemetry, with a 64-bit integer, a fraction and JSON',
    node: { type: 'TbMsgTimeseriesNode' },
    message: { data: '{"long":9223372036854775807,"t":21.5,"o":{"a":1}}', metadata: { ts: '1600000000000' } },
    effects: [
      {
        kind: 'telemetry',
        entity: 'T1',
        ts: 1_600_000_000_000,
        values: { long: '9223372036854775807', t: 21.5, o: { a: 1 } },
        expiresAt: null,
        history: true,
        latest: true,
      },
    ],
  },
  {
    name: 'attributes, of which the device and the chains are told',
    node: { type: 'TbMsgAttributesNode', config: { scope: 'SHARED_SCOPE', notifyDevice: true, sendAttributesUpdatedNotification: true } },
    message: { type: 'POST_ATTRIBUTES_REQUEST', json: { a: 1, b: true }, metadata: { notifyDevice: 'true' } },
    effects: [
      { kind: 'attributes', entity: 'T1', scope: 'SHARED_SCOPE', values: { a: 1, b: true } },
      { kind: 'deviceNotified', entity: 'T1', updated: ['a', 'b'] },
      {
        ...{ kind: 'message', type: 'ATTRIBUTES_UPDATED', originator: 'T1', data: '{"a":1,"b":true}', queue: null },
        metadata: { scope: 'SHARED_SCOPE' },
      },
    ],
  },
  {
    name: 'attributes removed',
    node: { type: 'TbMsgDeleteAttributesNode', config: { keys: ['a', '${which}'] } },
    message: { metadata: { which: 'b' } },
    effects: [{ kind: 'attributesRemoved', entity: 'T1', scope: 'SERVER_SCOPE', keys: ['a', 'b'] }],
  },
  {
    name: 'a relation',
    node: { type: 'TbCreateRelationNode', config: { ...related, relationType: 'Manages' } },
    effects: [{ kind: 'relation', from: 'T1', to: 'House', type: 'Manages', typeGroup: 'COMMON' }],
  },
  {
    name: 'a relation removed, which the store has',
    node: { type: 'TbDeleteRelationNode', config: { ...related, deleteForSingleEntity: true, direction: 'TO' } },
    effects: [{ kind: 'relationRemoved', from: 'House', to: 'T1', type: 'Contains', typeGroup: 'COMMON' }],
  },
  {
    name: 'a customer made, and the device given to it',
    node: { type: 'TbAssignToCustomerNode', config: { customerNamePattern: 'Smith', createCustomerIfNotExists: true } },
    effects: [
      { kind: 'entity', change: 'created', entity: 'Smith', type: null, customerId: null },
      { kind: 'entity', change: 'changed', entity: 'T1', type: 'default' },
      { kind: 'message', originator: 'Smith', type: 'ENTITY_CREATED', queue: null },
    ],
  },
  {
    name: 'a downlink',
    node: { type: 'TbIntegrationDownlinkNode', config: { integrationId: INTEGRATION } },
    message: { type: 'ATTRIBUTES_UPDATED', json: { period: 5 }, metadata: { scope: 'SHARED_SCOPE' } },
    effects: [
      {
        ...{ kind: 'downlink', integrationId: INTEGRATION, entity: 'T1', delivery: 'now', type: 'ATTRIBUTES_UPDATED', data: '{"period":5}' },
        metadata: { scope: 'SHARED_SCOPE' },
      },
    ],
  },
  {
    name: 'a downlink to an integration that is not there',
    node: { type: 'TbIntegrationDownlinkNode', config: { integrationId: NOBODY } },
    outcome: 'dead',
    effects: [{ kind: 'deadLetter', reason: `Integration ${NOBODY} is not known`, entity: 'T1', data: '{}', metadata: {} }],
  },
  {
    name: 'a log line',
    node: { type: 'TbLogNode', config: js("return 'got ' + msg.t;") },
    message: { json: { t: 1 } },
    outcome: 'filtered',
    effects: [{ kind: 'log', text: 'got 1' }],
  },
  {
    name: 'a call of the device, whose answer is assumed',
    node: { type: 'TbSendRPCRequestNode' },
    message: { json: { method: 'on', params: { pin: 3 } } },
    outcome: 'filtered',
    effects: [
      {
        ...{ kind: 'rpc', entity: 'T1', method: 'on', params: '{"pin":3}', oneway: false, expiresAt: NOW + 60_000 },
        ...{ answer: { ok: true, data: '{}' }, assumed: true },
      },
    ],
  },
  {
    name: 'a call of the device that nobody answers, as the answer says',
    node: { type: 'TbSendRPCRequestNode' },
    message: { type: 'RPC_CALL_FROM_SERVER_TO_DEVICE', json: { method: 'on', params: 1 }, metadata: { requestUUID: NOBODY } },
    answers: { n: { relation: 'Failure', error: 'TIMEOUT' } },
    outcome: 'dead',
    effects: [
      {
        ...{ kind: 'rpc', entity: 'T1', method: 'on', params: '1', oneway: false, expiresAt: NOW + 60_000 },
        ...{ answer: { ok: false, error: 'TIMEOUT' }, assumed: false },
      },
      { kind: 'rpcAnswer', requestId: NOBODY, answer: { ok: false, error: 'TIMEOUT' } },
      {
        ...{ kind: 'deadLetter', reason: 'TIMEOUT', entity: 'T1', data: '{"error":"TIMEOUT"}', metadata: { requestUUID: NOBODY } },
      },
    ],
  },
  {
    name: 'an answer to a request of the device',
    node: { type: 'TbSendRPCReplyNode' },
    message: { json: { ok: 1 }, metadata: { serviceId: 's', sessionId: NOBODY, requestId: '7' } },
    effects: [{ kind: 'rpcReply', sessionId: NOBODY, requestId: '7', data: '{"ok":1}' }],
  },
  {
    name: 'an answer to a REST call',
    node: { type: 'TbSendRestApiCallReplyNode' },
    message: { json: { ok: 1 }, metadata: { serviceId: 's', requestUUID: NOBODY } },
    effects: [{ kind: 'restReply', requestId: NOBODY, data: '{"ok":1}' }],
  },
  {
    name: 'what the device is said to be',
    node: { type: 'TbDeviceStateNode', config: { event: 'INACTIVITY_EVENT' } },
    effects: [{ kind: 'deviceState', entity: 'T1', event: 'INACTIVITY_EVENT', at: NOW }],
  },
  {
    name: 'a topic and a payload, not published',
    node: { type: 'TbMqttNode', config: { host: '127.0.0.1', port: 1, topicPattern: 'out/${room}' } },
    message: { json: { t: 1 }, metadata: { room: 'r1' } },
    effects: [{ kind: 'external', relation: 'Success', assumed: true, request: { topic: 'out/r1', payload: '{"t":1}' } }],
  },
];

for (const { name, node, message = {}, answers, effects, outcome = 'stored' } of ROWS) {
  test(`dry run: ${name}`, async () => {
    const result = await runs.walk({ nodes: [{ name: 'n', ...node }] }, [message], { answers });
    const shown = allEffects(result).map((effect) => {
      const { request, ...rest } = effect as Shown;
      if (rest.change === 'changed') delete rest.customerId;
      // Ids that are made anew each time.
      if (rest.type === 'ENTITY_CREATED') {
        delete rest.data;
        delete rest.metadata;
      }
      delete rest.metadata?.ruleNodeId;
      // A preview may say more than the two that every broker has.
      return request ? { ...rest, request: { topic: request['topic'], payload: request['payload'] } } : rest;
    });
    assert.deepEqual(
      shown,
      effects.map((effect) => ({ node: 'n', ...effect })),
    );
    assert.deepEqual([result.limited, result.problems, result.unusedAnswers, outcomes(result)], [null, [], [], [outcome]]);
  });
}
