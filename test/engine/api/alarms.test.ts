import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Api, startApi } from '#test/support/api.ts';
import { takeMessages } from '#test/support/lane.ts';

let api: Api;
let device: string;
let user: { id: { entityType: string; id: string }; email: string };

before(async () => {
  api = await startApi();
  device = (await api.call('POST', '/api/device', { body: { name: 'room', type: 'default', label: 'Cold room' } })).body.id.id;
  user = (await api.call('GET', '/api/auth/user')).body;
  await takeMessages(api.context.backend, device);
});
after(() => api.close());

const originator = () => ({ entityType: 'DEVICE', id: device });
const save = (fields: object) => api.call('POST', '/api/alarm', { body: { originator: originator(), ...fields } });
const told = async () => (await takeMessages(api.context.backend, device)).map(({ type, data }) => [type, JSON.parse(data).status]);

test('a life: created, worse, acknowledged, assigned, cleared, and the chain is told each time', async () => {
  const { body: alarm } = await save({ type: 'Too warm', severity: 'MAJOR', details: { t: 9.1 } });
  const { id, tenantId, createdTime, startTs, endTs, ...rest } = alarm;
  assert.ok(id.id && tenantId.id && createdTime && startTs === endTs);
  assert.deepEqual(rest, {
    customerId: null,
    type: 'Too warm',
    originator: originator(),
    severity: 'MAJOR',
    acknowledged: false,
    cleared: false,
    assigneeId: null,
    ackTs: 0,
    clearTs: 0,
    assignTs: 0,
    details: { t: 9.1 },
    propagate: false,
    propagateToOwner: false,
    propagateToTenant: false,
    propagateRelationTypes: [],
    name: 'Too warm',
    status: 'ACTIVE_UNACK',
  });
  const again = (await save({ type: 'Too warm', severity: 'CRITICAL' })).body;
  assert.deepEqual([again.id, again.severity, again.details], [id, 'CRITICAL', { t: 9.1 }], 'the active one of this type is meant');

  const act = (what: string, method = 'POST') => api.call(method, `/api/alarm/${id.id}/${what}`);
  const acked = (await act('ack')).body;
  assert.deepEqual([acked.status, acked.originatorName, acked.originatorDisplayName], ['ACTIVE_ACK', 'room', 'Cold room']);
  assert.equal((await act('ack')).body.message, 'Alarm was already acknowledged!');
  assert.equal((await act(`assign/${user.id.id}`)).body.assignee.email, user.email);
  assert.equal((await act('assign/784f394c-42b6-435a-983c-b7beff2784f9')).status, 404);
  assert.equal((await act('assign', 'DELETE')).body.assignee, null);
  assert.equal((await act('clear')).body.status, 'CLEARED_ACK');
  assert.equal((await act('clear')).body.message, 'Alarm was already cleared!');
  assert.deepEqual(await told(), [
    ['ALARM_CREATED', 'ACTIVE_UNACK'],
    ['ALARM_SEVERITY_UPDATED', 'ACTIVE_UNACK'],
    ['ALARM_ACK', 'ACTIVE_ACK'],
    ['ALARM_ASSIGNED', 'ACTIVE_ACK'],
    ['ALARM_UNASSIGNED', 'ACTIVE_ACK'],
    ['ALARM_CLEAR', 'CLEARED_ACK'],
  ]);
  const comments = (await api.call('GET', `/api/alarm/${id.id}/comment?pageSize=20&page=0&sortProperty=createdTime&sortOrder=ASC`)).body.data;
  assert.deepEqual(
    comments.map(({ type, comment }: { type: string; comment: { subtype: string } }) => [type, comment.subtype]),
    [
      ['SYSTEM', 'SEVERITY_CHANGED'],
      ['SYSTEM', 'ACKED_BY_USER'],
      ['SYSTEM', 'ASSIGNED_TO_USER'],
      ['SYSTEM', 'UNASSIGNED_BY_USER'],
      ['SYSTEM', 'CLEARED_BY_USER'],
    ],
  );
  const next = (await save({ type: 'Too warm', severity: 'MINOR' })).body;
  assert.notEqual(next.id.id, id.id, 'a cleared one is over');
  assert.deepEqual([(await api.call('DELETE', `/api/alarm/${id.id}`)).text, (await api.call('GET', `/api/alarm/${id.id}`)).status], ['true', 404]);
  await told();
});

test('comments of people are written, changed and leave a trace when deleted', async () => {
  const id = (await save({ type: 'Talk', severity: 'MINOR' })).body.id.id;
  const comment = (body: object) => api.call('POST', `/api/alarm/${id}/comment`, { body });
  const written = (await comment({ comment: { text: 'hello' } })).body;
  assert.deepEqual([written.type, written.comment, written.name, written.userId], ['OTHER', { text: 'hello' }, '{"text":"hello"}', user.id]);
  assert.equal((await comment({})).body.message, 'Alarm comment should be specified!');
  const changed = (await comment({ id: written.id, comment: { text: 'bye' } })).body;
  assert.deepEqual([changed.id, changed.comment.text, changed.comment.edited], [written.id, 'bye', 'true']);
  assert.equal((await api.call('DELETE', `/api/alarm/${id}/comment/${written.id.id}`)).status, 200);
  const [left] = (await api.call('GET', `/api/alarm/${id}/comment?pageSize=20&page=0`)).body.data;
  assert.deepEqual([left.type, left.comment.subtype, left.userId, left.email], ['SYSTEM', 'COMMENT_DELETED', null, null]);
  assert.deepEqual(
    (await told()).map(([type]) => type),
    ['ALARM_CREATED', 'COMMENT_CREATED', 'COMMENT_UPDATED'],
  );
});

for (const [name, fields, status, message] of [
  ['no originator', { originator: null, type: 'x', severity: 'MAJOR' }, 404, "Requested item wasn't found!"],
  [
    'an originator that nobody has',
    { originator: { entityType: 'DEVICE', id: '784f394c-42b6-435a-983c-b7beff2784f9' }, type: 'x', severity: 'MAJOR' },
    404,
    'Device with id [784f394c-42b6-435a-983c-b7beff2784f9] is not found',
  ],
  ['half an originator', { originator: { id: 'x' }, type: 'x', severity: 'MAJOR' }, 400, 'Missing entityType or id!'],
  ['no type', { severity: 'MAJOR' }, 400, 'Validation error: type must not be null'],
  ['no severity', { type: 'x' }, 400, 'Validation error: severity must not be null'],
  [
    'an unknown severity',
    { type: 'x', severity: 'NOPE' },
    400,
    'Validation error: severity should be one of CRITICAL, MAJOR, MINOR, WARNING, INDETERMINATE',
  ],
  ['an end before the start', { type: 'x', severity: 'MAJOR', startTs: 5, endTs: 1 }, 400, "Alarm start ts can't be greater then alarm end ts!"],
] as const) {
  test(`refused: ${name}`, async () => {
    const answer = await save(fields);
    assert.deepEqual([answer.status, answer.body.message], [status, message]);
  });
}

test('lists in the older and the newer form', async () => {
  const id = (await api.call('POST', '/api/device', { body: { name: 'other room', type: 'default' } })).body.id.id;
  for (const [type, severity, fields] of [
    ['A', 'CRITICAL', {}],
    ['B', 'MINOR', { acknowledged: true }],
    ['C', 'MAJOR', { cleared: true }],
  ] as const) {
    await save({ originator: { entityType: 'DEVICE', id }, type, severity, ...fields });
  }
  const types = async (path: string, query: string) => {
    const { status, body } = await api.call('GET', `${path}/DEVICE/${id}?pageSize=10&page=0&sortProperty=type&${query}`);
    return status === 200 ? body.data.map(({ type }: { type: string }) => type).join('') : status;
  };
  for (const [path, query, want] of [
    ['/api/alarm', '', 'ABC'],
    ['/api/alarm', 'searchStatus=ACTIVE', 'AB'],
    ['/api/alarm', 'status=CLEARED_UNACK', 'C'],
    ['/api/alarm', 'textSearch=b', 'B'],
    ['/api/alarm', `assigneeId=${user.id.id}`, ''],
    ['/api/alarm', 'searchStatus=ANY&status=CLEARED_UNACK', 400],
    ['/api/alarm', 'searchStatus=NOPE', 400],
    ['/api/v2/alarm', 'statusList=ACTIVE,UNACK', 'A'],
    ['/api/v2/alarm', 'severityList=CRITICAL,MAJOR', 'AC'],
    ['/api/v2/alarm', 'typeList=B&typeList=C', 'BC'],
    ['/api/v2/alarm', 'severityList=NOPE', 400],
  ] as const) {
    assert.equal(await types(path, query), want, `${path} ${query}`);
  }
  assert.equal((await api.call('GET', `/api/alarm/highestSeverity/DEVICE/${id}`)).text, '"CRITICAL"');
  assert.equal((await api.call('GET', `/api/alarm/highestSeverity/DEVICE/${id}?searchStatus=CLEARED`)).text, '"MAJOR"');
  assert.equal((await api.call('GET', `/api/alarm/highestSeverity/DEVICE/${id}?status=CLEARED_ACK`)).text, '');
  const kinds = (await api.call('GET', '/api/alarm/types?pageSize=3&page=0')).body.data;
  assert.deepEqual(
    kinds.map(({ type }: { type: string }) => type),
    ['A', 'B', 'C'],
  );
});
