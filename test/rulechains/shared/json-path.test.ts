import assert from 'node:assert/strict';
import test from 'node:test';
import { parseJson, printJson } from '#engine/json.ts';
import { evaluate, startLookup } from '#rulechains/shared/json-path/evaluate.ts';
import { parsePath } from '#rulechains/shared/json-path/parser.ts';

const DOCUMENT =
  '{"items":[{"k":"a","v":1,"t":["x"]},{"k":"b","v":2.5},{"k":"c","v":3,"n":null}],"o":{"p":{"q":"deep"}},"s":"text","n":null,"num":7,' +
  '"a.b":"dotted","ключ":1,"nums":[1,2.0,3],"with space":true,"e":{},"list":[]}';

function look(path: string, document = DOCUMENT): string {
  const data = parseJson(document);
  return printJson(evaluate(parsePath(path), startLookup(data), data));
}

const items = (...keys: string[]): string =>
  `[${keys.map((key) => ({ a: '{"k":"a","v":1,"t":["x"]}', b: '{"k":"b","v":2.5}', c: '{"k":"c","v":3,"n":null}' })[key]).join(',')}]`;

for (const { path, document, gives } of [
  // definite
  { path: '$.s', gives: '"text"' },
  { path: 's', gives: '"text"' },
  { path: '$.n', gives: 'null' },
  { path: '$.ключ', gives: '1' },
  { path: "$['a.b']", gives: '"dotted"' },
  { path: '$["with space"]', gives: 'true' },
  { path: "$['o']['p'].q", gives: '"deep"' },
  { path: "$['s','num','nope']", gives: '{"s":"text","num":7}' },
  { path: "$['o','e']['p']", gives: '[{"q":"deep"}]' },
  { path: '$.items[0].k', gives: '"a"' },
  { path: '$.items[-1].k', gives: '"c"' },
  { path: '$.items[9]', gives: 'null' },
  { path: '$.items[-9]', gives: 'null' },
  { path: '@.s', gives: '"text"' },
  { path: ' $.s '.trim(), gives: '"text"' },
  { path: '$.s[', gives: '"text"' },
  { path: '$.items[1]x', gives: '{"k":"b","v":2.5}' },
  { path: '$.5', document: '{"5":[1]}', gives: '[1]' },
  { path: "$['\\u0061\\'']", document: '{"a\'":1}', gives: '1' },
  { path: '$.a', document: '{"a":9007199254740993}', gives: '9007199254740993' },
  { path: '$', document: '{ "a" : 1e5 }', gives: '{"a":100000.0}' },
  // indefinite
  { path: '$.items[*].v', gives: '[1,2.5,3]' },
  { path: '$.items.*.k', gives: '["a","b","c"]' },
  { path: '$.items[*].nope', gives: '[]' },
  { path: '$.items[*].t[0]', gives: '["x"]' },
  { path: '$.items[*].t[5]', gives: '[null]' },
  { path: '$.items[0:2].k', gives: '["a","b"]' },
  { path: '$.items[1:].k', gives: '["b","c"]' },
  { path: '$.items[:-1].k', gives: '["a","b"]' },
  { path: '$.items[-2:].k', gives: '["b","c"]' },
  { path: '$.items[5:].k', gives: '[]' },
  { path: '$.items[0,2].k', gives: '["a","c"]' },
  { path: '$.items[0,9]', gives: '[{"k":"a","v":1,"t":["x"]},null]' },
  { path: '$.*', document: '42', gives: '[]' },
  { path: '$.*', document: '{"a":1,"b":[2]}', gives: '[1,[2]]' },
  { path: '$.e.*', gives: '[]' },
  { path: '$..v', gives: '[1,2.5,3]' },
  { path: '$..nope', gives: '[]' },
  { path: '$..q', gives: '["deep"]' },
  { path: '$..t[0]', gives: '["x"]' },
  { path: '$..*', document: '{"a":[1,{"b":2}]}', gives: '[[1,{"b":2}],1,{"b":2},2]' },
  { path: '$..[0]', document: '[[1,2],[3]]', gives: '[[1,2],1,3]' },
  { path: "$..['k','v']", gives: '[{"k":"a","v":1},{"k":"b","v":2.5},{"k":"c","v":3}]' },
  // filters
  { path: '$.items[?(@.v > 1)].k', gives: '["b","c"]' },
  { path: '$.items[?(@.v>=2.5)].k', gives: '["b","c"]' },
  { path: '$.items[?(1 == @.v)].k', gives: '["a"]' },
  { path: '$.items[?(@.v == 1.0)].k', gives: '["a"]' },
  { path: "$.items[?(@.v == '1')].k", gives: '["a"]' },
  { path: "$.items[?(@.v === '1')].k", gives: '[]' },
  { path: "$.items[?(@.k == 'b')].v", gives: '[2.5]' },
  { path: '$.items[?(@.k == "b")].v', gives: '[2.5]' },
  { path: "$.items[?(@.k > 'a')].k", gives: '["b","c"]' },
  { path: '$.items[?(@.k != "b")].k', gives: '["a","c"]' },
  { path: '$.items[?(@.nope != 1)].k', gives: '["a","b","c"]' },
  { path: '$.items[?(@.nope == null)].k', gives: '[]' },
  { path: '$.items[?(@.n == null)].k', gives: '["c"]' },
  { path: '$.items[?(@.n)].k', gives: '["c"]' },
  { path: '$.items[?(@.nope)]', gives: '[]' },
  { path: '$.items[?(@.t)]', gives: items('a') },
  { path: '$.items[?(!@.t)].k', gives: '["b","c"]' },
  { path: '$.items[?(!(@.v > 1))].k', gives: '["a"]' },
  { path: "$.items[?(@.v > 1 && @.k == 'c')].k", gives: '["c"]' },
  { path: "$.items[?(@.v > 2.9 || @.k == 'a')].k", gives: '["a","c"]' },
  { path: "$.items[?((@.v > 2 || @.t) && @.k != 'c')].k", gives: '["a","b"]' },
  { path: '$.items[?(@.v < $.num)].k', gives: '["a","b","c"]' },
  { path: '$.items[?(@.v > $.num)]', gives: '[]' },
  { path: '$.items[?(@.k =~ /[ab]/)].k', gives: '["a","b"]' },
  { path: '$.items[?(@.k =~ /A/i)].k', gives: '["a"]' },
  { path: '$.items[?(@.k =~ /.*/)].k', gives: '["a","b","c"]' },
  { path: "$.items[?(@.k in ['a', 'c'])].k", gives: '["a","c"]' },
  { path: '$.items[?(@.v in [1, 3.0])].k', gives: '["a","c"]' },
  { path: "$.items[?(@.k nin ['a'])].k", gives: '["b","c"]' },
  { path: "$.items[?(@.t contains 'x')].k", gives: '["a"]' },
  { path: "$.items[?(@.t anyof ['x','y'])].k", gives: '["a"]' },
  { path: "$.items[?(@.t noneof ['y'])].k", gives: '["a"]' },
  { path: "$.items[?(@.t subsetof ['x','y'])].k", gives: '["a"]' },
  { path: '$.items[?(@.t size 1)].k', gives: '["a"]' },
  { path: '$.items[?(@.t empty false)].k', gives: '["a"]' },
  { path: "$.items[?(@.t == ['x'])].k", gives: '["a"]' },
  { path: '$.items[?(@.t.length() == 1)].k', gives: '["a"]' },
  { path: '$[?(@ > 1)]', document: '[1,2,"x",3]', gives: '[2,"x",3]' },
  { path: '$.o[?(@.q)]', gives: '[]' },
  { path: "$.o.p[?(@.q == 'deep')]", gives: '[{"q":"deep"}]' },
  { path: '$..[?(@.v > 2)].k', gives: '["b","c"]' },
  { path: "$.items[?(@['k'] == 'a')].v", gives: '[1]' },
  // functions
  { path: '$.items.length()', gives: '3' },
  { path: '$.items.size()', gives: '3' },
  { path: '$.length()', document: '[1,2]', gives: '2' },
  { path: '$.o.length()', gives: '1' },
  { path: '$.s.length()', gives: 'null' },
  { path: '$.nums.sum()', gives: '6.0' },
  { path: '$.nums.avg()', gives: '2.0' },
  { path: '$.nums.min()', gives: '1.0' },
  { path: '$.nums.max()', gives: '3.0' },
  { path: '$.nums.stddev()', gives: '0.8164965809277263' },
  { path: '$.nums.first()', gives: '1' },
  { path: '$.nums.last()', gives: '3' },
  { path: '$.o.keys()', gives: '["p"]' },
  { path: '$.items.keys()', gives: 'null' },
  { path: '$..v.sum()', gives: '6.5' },
  { path: '$..v.length()', gives: '0' },
  { path: '$.sum($.num, $.nums)', gives: '13.0' },
  { path: '$.concat($.s, $.o.p.q)', gives: '"textdeep"' },
  { path: '$.nums.append($.num)', gives: '[1,2.0,3,7]' },
  { path: '$.items[*].k.length()', gives: '[null,null,null]' },
])
  test(`json path: ${path} gives ${gives}`, () => assert.equal(look(path, document), gives));

for (const { path, document } of [
  { path: '$.nope' },
  { path: '$.o.nope.deeper' },
  { path: '$.s.nope' },
  { path: '$.s[0]' },
  { path: '$.items[9].k' },
  { path: '$.a', document: '42' },
  { path: '$.s.*.x' },
  { path: '$.s[?(@.a)]' },
  { path: '$.items[*].v.max()' },
  { path: '$.list.sum()' },
  { path: '$.list.first()' },
  { path: '$.nums.nope()' },
  { path: '$.nums.index(0)' },
  { path: '$.nums.length().x' },
])
  test(`json path: ${path} leads nowhere`, () => assert.throws(() => look(path, document)));

for (const path of [
  ...[
    '',
    ' ',
    '$.',
    '$..',
    '$x',
    '$...a',
    '$.a b',
    ' $.a',
    '$.items[1',
    "$['a",
    "$['a' 'b']",
    "$['a',]",
    '$[]',
    '$[1 2]',
    '$[::2]',
    '$[99999999999]',
  ],
  ...['$[*', '$[?]', '$[?(@.a]', '$[?(@.a == )]', '$[?(@.a == b)]', '$[?(@.a ~~ 1)]', '$[?(1)]', '$[?(@.a =~ /[/)]', '$.sum($.a'],
  ...['$[?(@.a == 1) x]', "$[?(@.a == 'x)]", '$[?(@.a ??)]', `$${'[?(@'.repeat(40)}`],
])
  test(`json path: ${path.slice(0, 40)} is no path`, () => assert.throws(() => parsePath(path)));

test('json path: a path that leads to too many places stops', () => {
  let tree: unknown = 1;
  for (let depth = 0; depth < 12; depth++) tree = { a: tree, b: tree };
  const started = Date.now();
  assert.throws(() => look('$..*..*..*..*', JSON.stringify(tree)), /too many places/);
  assert.throws(() => look('$[-2000000000:5]', '[1]'), /too many places/);
  assert.ok(Date.now() - started < 5000);
});

test('json path: a pattern that takes too long fails', () => {
  assert.throws(() => look('$.a[?(@ =~ /(x+)+y/)]', `{"a":["${'x'.repeat(60)}"]}`), /takes too long/);
});
