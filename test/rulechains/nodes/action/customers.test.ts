import assert from 'node:assert/strict';
import test from 'node:test';
import { newCustomer, newDevice, newDoc, withCustomer } from '#engine/entities.ts';
import { NotConnected } from '#engine/errors.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';
import assign from '#rulechains/nodes/action/assign-to-customer.ts';
import unassign from '#rulechains/nodes/action/unassign-from-customer.ts';
import { DEVICE, message, TENANT } from '#test/support/message.ts';
import { NODE, NOW, run, services } from '#test/support/services.ts';

const CUSTOMER: Doc = { ...newCustomer(TENANT, 'Acme', 1), id: 'c1' };
const OTHER: Doc = { ...newCustomer(TENANT, 'Other', 1), id: 'c2' };
const device: Doc = { ...newDevice({ tenantId: TENANT, name: 'TH-1', type: 'th', profileId: 'p' }, 1).device, id: DEVICE };
const dashboard: Doc = newDoc({ id: 'd1', collection: 'DASHBOARD', tenantId: TENANT, name: 'Board', body: {} }, 1);
const world = (...docs: readonly Doc[]) => ({ docs: Object.fromEntries([CUSTOMER, OTHER, ...docs].map((doc) => [doc.id, doc])) });
const BOARD: EntityRef = { entityType: 'DASHBOARD', id: 'd1' };
const QUIET = { to: 'Success', effect: false };
const DONE = { to: 'Success', effect: true };
const failure = (error: string) => ({ to: 'Failure', error });

for (const { name, config, data = {}, metadata = {} as Record<string, string>, originator, docs = world(device), to = DONE, did = [] } of [
  { name: 'assigns', config: { customerNamePattern: 'Acme' }, did: [['assign', DEVICE, 'Acme']] },
  {
    name: 'fills the pattern',
    config: { customerNamePattern: '${a}$[b]' },
    metadata: { a: 'Ac' },
    data: { b: 'me' },
    did: [['assign', DEVICE, 'Acme']],
  },
  {
    name: 'takes it from another',
    config: { customerNamePattern: 'Acme' },
    docs: world({ ...device, customerId: 'c2' }),
    did: [['assign', DEVICE, 'Acme']],
  },
  { name: 'theirs already: nothing is written', config: { customerNamePattern: 'Acme' }, docs: world({ ...device, customerId: 'c1' }), to: QUIET },
  { name: 'no such customer', config: { customerNamePattern: 'nope' }, to: failure("Customer with title 'nope' doesn't exist!") },
  { name: 'titles are compared as they are', config: { customerNamePattern: 'acme' }, to: failure("Customer with title 'acme' doesn't exist!") },
  { name: 'a blank title is one', config: { customerNamePattern: '' }, to: failure("Customer with title '' doesn't exist!") },
  {
    name: 'a customer without a title can not be made',
    config: { customerNamePattern: '', createCustomerIfNotExists: true },
    to: failure("Failed to create customer with title '' due to: "),
  },
  { name: 'no pattern', config: { customerNamePattern: null }, to: failure('Failed to process pattern!') },
  { name: 'data that is no JSON', config: { customerNamePattern: 'Acme' }, data: 'x', to: failure('Failed to process pattern!') },
  { name: 'empty data', config: { customerNamePattern: 'Acme' }, data: '', to: failure('Failed to process pattern!') },
  { name: 'an array', config: { customerNamePattern: 'Acme' }, data: [1], did: [['assign', DEVICE, 'Acme']] },
  {
    name: 'a 64-bit integer',
    config: { customerNamePattern: '$[n]' },
    data: '{"n":9007199254740993}',
    to: failure("Customer with title '9007199254740993' doesn't exist!"),
  },
  {
    name: 'of another type',
    config: { customerNamePattern: 'Acme' },
    originator: { entityType: 'USER', id: 'u' } as const,
    to: failure("Unsupported originator type 'USER'! Only DASHBOARD, ASSET, DEVICE, ENTITY_VIEW, EDGE types are allowed."),
  },
  { name: 'deleted in between', config: { customerNamePattern: 'Acme' }, docs: world(), to: failure(`DEVICE with id [${DEVICE}] is not found`) },
  { name: 'a dashboard', config: { customerNamePattern: 'Acme' }, originator: BOARD, docs: world(dashboard), did: [['assign', 'd1', 'Acme']] },
  {
    name: 'a dashboard that others have',
    config: { customerNamePattern: 'Acme' },
    originator: BOARD,
    docs: world(withCustomer(dashboard, OTHER)),
    did: [['assign', 'd1', 'Acme']],
  },
  {
    name: 'a dashboard that they have',
    config: { customerNamePattern: 'Acme' },
    originator: BOARD,
    docs: world(withCustomer(dashboard, CUSTOMER)),
    to: QUIET,
  },
])
  test(`assign to customer: ${name}`, async () => {
    const given = services(docs);
    assert.deepEqual(await run(assign, [message({ data, metadata, ...(originator && { originator }) })], { config, services: given }), [to]);
    assert.deepEqual(given.did, did);
  });

test('assign to customer: one that is not there is made once, and told of', async () => {
  const given = services(world(device));
  const config = { customerNamePattern: 'New', createCustomerIfNotExists: true };
  const outcomes = [
    ...(await run(assign, [message()], { config, services: given })),
    ...(await run(assign, [message()], { config, services: given })),
  ];
  assert.deepEqual(outcomes, [DONE, QUIET]);
  const [[, , ,], [what, told]] = given.did as [unknown[], [string, { data: { id: EntityRef; title: string; createdTime: number } }]];
  assert.deepEqual(
    given.did.map(([first]) => first),
    ['create', 'enqueue', 'assign'],
  );
  assert.deepEqual(
    [what, { ...told, data: { title: told.data.title, createdTime: told.data.createdTime } }],
    ['enqueue', { type: 'ENTITY_CREATED', originator: told.data.id.id, data: { title: 'New', createdTime: NOW }, metadata: { ruleNodeId: NODE.id } }],
  );
});

test('assign to customer: a store that is away is no failure of the name', async () => {
  const given = services(world(device));
  given.inventory.create = async () => {
    throw new NotConnected('the store');
  };
  const [outcome] = await run(assign, [message()], { config: { customerNamePattern: 'New', createCustomerIfNotExists: true }, services: given });
  assert.deepEqual(outcome, failure('Not connected to the store'));
});

for (const { name, config = {}, data = {}, originator, docs = world(device), to = DONE, did = [] } of [
  { name: 'takes back', docs: world({ ...device, customerId: 'c1' }), did: [['unassign', DEVICE, null]] },
  { name: 'nobody had it', to: QUIET },
  {
    name: 'the title means nothing here',
    config: { customerNamePattern: 'nope' },
    docs: world({ ...device, customerId: 'c1' }),
    did: [['unassign', DEVICE, null]],
  },
  { name: 'nor does the data', data: 'x', docs: world({ ...device, customerId: 'c1' }), did: [['unassign', DEVICE, null]] },
  { name: 'deleted in between', docs: world(), to: failure(`DEVICE with id [${DEVICE}] is not found`) },
  {
    name: 'of another type',
    originator: { entityType: 'CUSTOMER', id: 'c1' } as const,
    to: failure("Unsupported originator type 'CUSTOMER'! Only DASHBOARD, ASSET, DEVICE, ENTITY_VIEW, EDGE types are allowed."),
  },
  {
    name: 'a dashboard needs a title',
    originator: BOARD,
    docs: world(dashboard),
    to: failure("Failed to unassign dashboard with id 'd1' from customer! Customer title should be specified!"),
  },
  {
    name: 'a dashboard, of a customer that is not there',
    config: { customerNamePattern: 'nope' },
    originator: BOARD,
    docs: world(dashboard),
    to: failure("Customer with title 'nope' doesn't exist!"),
  },
  {
    name: 'a dashboard, from one of two',
    config: { customerNamePattern: 'Acme' },
    originator: BOARD,
    docs: world(withCustomer(withCustomer(dashboard, OTHER), CUSTOMER)),
    did: [['unassign', 'd1', 'c1']],
  },
  {
    name: 'a dashboard that they do not have',
    config: { customerNamePattern: 'Acme' },
    originator: BOARD,
    docs: world(withCustomer(dashboard, OTHER)),
    to: QUIET,
  },
])
  test(`unassign from customer: ${name}`, async () => {
    const given = services(docs);
    assert.deepEqual(await run(unassign, [message({ data, ...(originator && { originator }) })], { config, services: given }), [to]);
    assert.deepEqual(given.did, did);
  });

for (const node of [assign, unassign])
  test(`${node.label}: an old file has a cache that is gone`, () =>
    assert.deepEqual(node.upgrades![0]!({ customerNamePattern: 'x', customerCacheExpiration: 300 }), { customerNamePattern: 'x' }));
