import assert from 'node:assert/strict';
import test from 'node:test';
import type { EntityRef, EntityType } from '#engine/message.ts';
import { relationServices } from '#engine/services/relations.ts';
import type { RelationsQuery } from '#engine/services.ts';
import type { Relation, Store } from '#engine/store.ts';
import { Work } from '#engine/work.ts';

const TENANT = '784f394c-42b6-11ec-8d3d-0242ac130003';
const ref = (name: string, entityType: EntityType = name < 'a' ? 'ASSET' : 'DEVICE'): EntityRef => ({ entityType, id: name });
/** `A-Contains-b`: assets have capitals. */
const relation = (text: string): Relation => {
  const [from = '', type = '', to = '', typeGroup = 'COMMON'] = text.split('-');
  return { from: ref(from), to: ref(to), type, typeGroup };
};
const open = (stored: readonly string[], work = new Work()) => {
  const all = stored.map(relation);
  let reads = 0;
  const relations: Store['relations'] = async (_tenantId, { from, to, typeGroup }) => {
    reads++;
    return all.filter((each) => (!from || each.from.id === from.id) && (!to || each.to.id === to.id) && (!typeGroup || each.typeGroup === typeGroup));
  };
  return { ...relationServices(TENANT, work, { relations }), reads: () => reads };
};
const query = (more: Partial<RelationsQuery> = {}): RelationsQuery => ({
  direction: 'FROM',
  maxLevel: 1,
  fetchLastLevelOnly: false,
  filters: [],
  ...more,
});
const filter = (relationType: string, entityTypes: string[] = [], negate = false) => ({ relationType, entityTypes, negate });

const TREE = ['A-Contains-B', 'A-Contains-b', 'A-Manages-c', 'B-Contains-d', 'B-Manages-e', 'd-Contains-f', 'A-Contains-g-DASHBOARD'];
const CIRCLE = ['A-Contains-B', 'B-Contains-C', 'C-Contains-A'];

for (const { name, stored = TREE, root = 'A', asked, found } of [
  { name: 'one level, in the order of the relations; only the common group', asked: {}, found: 'Bbc' },
  { name: 'two levels, the nearer first', asked: { maxLevel: 2 }, found: 'Bbcde' },
  { name: 'without a limit', asked: { maxLevel: 0 }, found: 'Bbcdef' },
  { name: 'below 0 there is no limit either', asked: { maxLevel: -1 }, found: 'Bbcdef' },
  { name: 'a type of relation, also behind another one', asked: { maxLevel: 0, filters: [filter('Manages')] }, found: 'ce' },
  { name: 'an empty type is every type', asked: { filters: [filter('', ['DEVICE'])] }, found: 'bc' },
  { name: 'types of entities do not steer the way', asked: { maxLevel: 0, filters: [filter('Contains', ['DEVICE'])] }, found: 'bdf' },
  { name: 'one of several filters is enough', asked: { maxLevel: 2, filters: [filter('Manages'), filter('Contains', ['ASSET'])] }, found: 'Bce' },
  { name: 'negate means nothing', asked: { filters: [filter('Manages', [], true)] }, found: 'c' },
  { name: 'the last level of two: what is deepest, or has nothing behind it', asked: { maxLevel: 2, fetchLastLevelOnly: true }, found: 'bcde' },
  { name: 'the last level of all', asked: { maxLevel: 0, fetchLastLevelOnly: true }, found: 'bcef' },
  { name: 'the last level of one is the level', asked: { fetchLastLevelOnly: true }, found: 'Bbc' },
  { name: 'towards the root', root: 'f', asked: { direction: 'TO', maxLevel: 0 }, found: 'dBA' },
  { name: 'towards the root, one type', root: 'e', asked: { direction: 'TO', maxLevel: 0, filters: [filter('Manages')] }, found: 'B' },
  { name: 'nothing is related', root: 'z', asked: { maxLevel: 0 }, found: '' },
  { name: 'a circle ends, and leads back to the root', stored: CIRCLE, asked: { maxLevel: 0 }, found: 'BCA' },
  { name: 'the last level of a circle is where it closes', stored: CIRCLE, asked: { maxLevel: 0, fetchLastLevelOnly: true }, found: 'A' },
  { name: 'to itself', stored: ['A-Contains-A'], asked: { maxLevel: 0 }, found: 'A' },
  { name: 'on two ways, found once', stored: ['A-Manages-b', 'A-Contains-C', 'C-Contains-b'], asked: { maxLevel: 0 }, found: 'bC' },
  {
    name: 'on two ways, of which one is asked for',
    stored: ['A-Manages-b', 'A-Contains-C', 'C-Contains-b'],
    asked: { maxLevel: 0, filters: [filter('Contains')] },
    found: 'Cb',
  },
] as { name: string; stored?: string[]; root?: string; asked: Partial<RelationsQuery>; found: string }[])
  test(`relations search: ${name}`, async () => {
    const entities = await open(stored).search(ref(root), query(asked));
    assert.equal(entities.map(({ id }) => id).join(''), found);
  });

test('relations search: sees what the batch saved and removed', async () => {
  const work = new Work();
  const relations = open(TREE, work);
  relations.remove(relation('A-Contains-B'));
  relations.save(relation('b-Contains-h'));
  const entities = await relations.search(ref('A'), query({ maxLevel: 0 }));
  assert.equal(entities.map(({ id }) => id).join(''), 'bch');
});

test('relations search: each entity is read once, and a way without end ends', async () => {
  const dense = ['A', 'B', 'C', 'D'].flatMap((from) => ['A', 'B', 'C', 'D'].map((to) => `${from}-Contains-${to}`));
  const relations = open(dense);
  await relations.search(ref('A'), query({ maxLevel: 0 }));
  assert.equal(relations.reads(), 4);
  let made = 0;
  const endless: Store['relations'] = async (_tenantId, { from }) =>
    Array.from({ length: 1000 }, () => ({ ...relation('A-Contains-B'), from: from!, to: ref(`N${made++}`) }));
  const found = await relationServices(TENANT, new Work(), { relations: endless }).search(ref('A'), query({ maxLevel: 0 }));
  assert.equal(found.length, 50_000);
});
