import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lineOf, recordsIn, type SegmentLimits, type Segments } from '#engine/capture/segments.ts';

export interface SegmentsUnderTest {
  readonly name: string;
  /** The same place again, as after a restart. */
  start(limits: SegmentLimits): Promise<{ open(): Promise<Segments>; stop(): Promise<void> }>;
}

const CHAIN = 'chain-1';
const RING_BYTES = 8000;
const line = (text: string, size = 100): string => lineOf(JSON.stringify({ text, fill: 'x'.repeat(Math.max(0, size - 40 - text.length)) }));

export async function textsIn(segments: Segments, tenantId: string, since = 0): Promise<string[]> {
  const texts: string[] = [];
  for await (const segment of segments.read(tenantId, since)) {
    texts.unshift(...Array.from(recordsIn(segment), (json) => (JSON.parse(json.toString()) as { text: string }).text));
  }
  return texts;
}

/** What keeps captured records must do, whatever it is built on. */
export function segmentsContract(under: SegmentsUnderTest): void {
  describe(`segments: ${under.name}`, () => {
    let place: Awaited<ReturnType<SegmentsUnderTest['start']>>;
    let segments: Segments;
    let tenants = 0;
    before(async () => {
      place = await under.start({ ringBytes: RING_BYTES, tenantBytes: 3 * RING_BYTES });
      segments = await place.open();
    });
    after(async () => {
      await segments.close();
      await place.stop();
    });
    const tenant = (): string => `00000000-0000-1000-8000-00000000000${++tenants}`;
    const append = (tenantId: string, id: string, lines: string[], owner = CHAIN) => segments.append([{ ring: { tenantId, owner, id }, lines }]);

    test('what was appended is read, and by its own tenant alone', async () => {
      const [mine, other] = [tenant(), tenant()];
      await append(mine, 'node', [line('a'), line('b')]);
      await append(mine, 'node', [line('c')]);
      await append(other, 'node', [line('theirs')]);
      assert.deepEqual(await textsIn(segments, mine), ['a', 'b', 'c']);
      assert.deepEqual(await textsIn(segments, other), ['theirs']);
    });

    test('a ring keeps its newest and never grows beyond its bytes; another is not touched', async () => {
      const tenantId = tenant();
      await append(tenantId, 'seldom', [line('once')]);
      for (let i = 0; i < 60; i++) await append(tenantId, 'busy', [line(`busy ${2 * i}`, 400), line(`busy ${2 * i + 1}`, 400)]);
      const texts = await textsIn(segments, tenantId);
      const busy = texts.filter((text) => text.startsWith('busy'));
      assert.ok(texts.includes('once'));
      assert.ok(busy.length * 400 <= 2 * RING_BYTES, `${busy.length} lines`);
      assert.ok(busy.length * 400 >= RING_BYTES / 2, `${busy.length} lines`);
      assert.deepEqual(
        busy,
        Array.from({ length: busy.length }, (_, i) => `busy ${120 - busy.length + i}`),
      );
    });

    test('the rings of a tenant together keep within its bytes: the oldest go', async () => {
      const tenantId = tenant();
      for (let ring = 0; ring < 8; ring++)
        await append(
          tenantId,
          `ring ${ring}`,
          Array.from({ length: 18 }, (_, i) => line(`${ring}/${i}`, 400)),
        );
      // Rings are cut when enough was written since.
      await append(tenantId, 'last', [line('last')]);
      const texts = await textsIn(segments, tenantId);
      assert.ok(texts.length * 400 <= 4 * RING_BYTES, `${texts.length} lines`);
      assert.ok(texts.includes('last') && texts.includes('7/17') && !texts.includes('0/0'));
    });

    test('what is larger than a segment is left out', async () => {
      const tenantId = tenant();
      await append(tenantId, 'node', [line('before'), line('large', RING_BYTES), line('after')]);
      assert.deepEqual(await textsIn(segments, tenantId), ['before', 'after']);
    });

    test('with a chain go its rings, with a tenant all', async () => {
      const tenantId = tenant();
      await append(tenantId, 'node 1', [line('a')], 'chain-a');
      await append(tenantId, 'node 2', [line('b')], 'chain-b');
      await segments.remove(tenantId, 'chain-a');
      assert.deepEqual(await textsIn(segments, tenantId), ['b']);
      await append(tenantId, 'node 1', [line('again')], 'chain-a');
      await segments.remove(tenantId);
      assert.deepEqual(await textsIn(segments, tenantId), []);
    });

    test('segments that were not written to since then are not read', async () => {
      const tenantId = tenant();
      await append(tenantId, 'node', [line('a')]);
      assert.deepEqual(await textsIn(segments, tenantId, Date.now() + 60_000), []);
      assert.deepEqual(await textsIn(segments, tenantId, Date.now() - 60_000), ['a']);
    });

    test('a restart finds what there was, and goes on', async () => {
      const tenantId = tenant();
      await append(tenantId, 'node', [line('before')]);
      await segments.close();
      segments = await place.open();
      await append(tenantId, 'node', [line('after')]);
      assert.deepEqual(await textsIn(segments, tenantId), ['before', 'after']);
    });
  });
}
