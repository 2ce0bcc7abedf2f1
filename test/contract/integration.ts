import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, NotDurable } from '#engine/errors.ts';
import type { Accepted, AnyIntegration, Connection, InboundRequest, IntegrationInfo, RawDownlink, RawUplink, Uplinks } from '#engine/integration.ts';
import { createMessage } from '#engine/message.ts';
import { problems, withDefaults } from '#engine/schema.ts';
import { within } from '#test/support/wait.ts';

/** What every integration keeps, whatever its peer; the suite of each type runs it against the peer's real program. */

export const INFO: IntegrationInfo = {
  id: '5b2f394c-42b6-11ec-8d3d-0242ac130003',
  tenantId: '784f394c-42b6-11ec-8d3d-0242ac130003',
  name: 'Plant',
  routingKey: '2f1c9a4e-5d0b-4a7e-9c51-7d1b0c6a1e10',
};

/** A peer of a type that connects. */
export interface Peer {
  /** A configuration that reaches it, as a user stores it. */
  readonly config: Record<string, unknown>;
  /** One that nothing listens on. */
  readonly unreachable: Record<string, unknown>;
  /** Has the peer deliver one payload, in a way that it redelivers when it is not acknowledged. */
  send(payload: string): Promise<void>;
  /** Where types have downlinks: what the peer got, in order. */
  received?(): Promise<{ topic?: string; payload: string }[]>;
  /** What the downlink converter of a user would give. */
  readonly downlink?: RawDownlink;
  /** Ends the connection from the peer's side, and is there again. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export interface Taken {
  readonly uplinks: Uplinks;
  /** Payloads in the order of their arrival. */
  readonly payloads: string[];
  readonly raw: RawUplink[];
  readonly lost: unknown[];
  /** Resolves when so many have arrived. */
  count(n: number): Promise<void>;
  lostOnce(): Promise<unknown>;
}

/** @param accept what becomes of each; default: stored. */
export function takeUplinks(accept: (uplink: RawUplink) => Promise<Accepted> = async () => ({ outcome: 'empty' })): Taken {
  const payloads: string[] = [];
  const raw: RawUplink[] = [];
  const lost: unknown[] = [];
  const waiting = new Set<() => void>();
  const until = async (done: () => boolean, what: string) => {
    while (!done()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      await within(promise, what);
    }
  };
  const wake = () => {
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  return {
    payloads,
    raw,
    lost,
    count: (n) => until(() => payloads.length >= n, `${n} uplinks`),
    async lostOnce() {
      await until(() => lost.length > 0, 'the loss of the connection');
      return lost[0];
    },
    uplinks: {
      accept(uplink) {
        payloads.push(Buffer.from(uplink.payload).toString());
        raw.push(uplink);
        wake();
        return accept(uplink);
      },
      lost(cause) {
        lost.push(cause);
        wake();
      },
      warn: () => {},
    },
  };
}

const message = createMessage(
  { tenantId: INFO.tenantId, type: 'ATTRIBUTES_UPDATED', originator: { entityType: 'DEVICE', id: INFO.id }, data: '{}' },
  () => INFO.id,
);

/** The stored configuration as the one who connects gets it. */
export function configured(definition: AnyIntegration, config: Record<string, unknown>): unknown {
  const completed = definition.complete?.(config, { ...INFO, isNew: true }) ?? config;
  const filled = withDefaults(definition.config, completed);
  assert.deepEqual(problems(definition.config, filled), []);
  return filled;
}

export const openWith = (
  definition: AnyIntegration,
  config: Record<string, unknown>,
  taken: Taken,
  signal = AbortSignal.timeout(10_000),
): Promise<Connection> => definition.connect!(configured(definition, config), INFO, taken.uplinks, signal);

export function integrationContract(definition: AnyIntegration, startPeer: () => Promise<Peer>, { skip }: { skip: string | false }): void {
  const name = definition.type;
  const withPeer = (title: string, body: (peer: Peer) => Promise<void>) =>
    test(`${name}: ${title}`, { skip }, async () => {
      const peer = await startPeer();
      try {
        await body(peer);
      } finally {
        await peer.close();
      }
    });

  withPeer('opens, delivers, closes', async (peer) => {
    const taken = takeUplinks();
    const connection = await openWith(definition, peer.config, taken);
    await peer.send('one');
    await taken.count(1);
    await connection.close();
    assert.deepEqual(taken.payloads, ['one']);
  });

  withPeer('documents its metadata', async (peer) => {
    const taken = takeUplinks();
    const connection = await openWith(definition, peer.config, taken);
    await peer.send('one');
    await taken.count(1);
    await connection.close();
    for (const key of Object.keys(taken.raw[0]!.metadata)) assert.ok(key in definition.metadata, `${key} is not described`);
  });

  withPeer('redelivers what was not stored', async (peer) => {
    const refusing = takeUplinks(async () => {
      throw new NotDurable(new Error('disk full'));
    });
    const first = await openWith(definition, peer.config, refusing);
    await peer.send('one');
    const cause = await refusing.lostOnce();
    assert.ok(cause instanceof NotDurable, String(cause));
    await first.close();
    const taken = takeUplinks();
    const second = await openWith(definition, peer.config, taken);
    await taken.count(1);
    await second.close();
    assert.deepEqual(taken.payloads, ['one']);
  });

  withPeer('tells when the peer goes away, and delivers after the next connect', async (peer) => {
    const taken = takeUplinks();
    const first = await openWith(definition, peer.config, taken);
    await peer.restart();
    await taken.lostOnce();
    await first.close();
    const again = takeUplinks();
    const second = await openWith(definition, peer.config, again);
    await peer.send('two');
    await again.count(1);
    await second.close();
    assert.deepEqual([taken.payloads, again.payloads], [[], ['two']]);
  });

  withPeer('stops while connecting', async (peer) => {
    const abort = new AbortController();
    const taken = takeUplinks();
    const opening = openWith(definition, peer.config, taken, abort.signal);
    abort.abort();
    await assert.rejects(within(opening, 'the end of the attempt'));
    assert.deepEqual(taken.payloads, []);
  });

  withPeer('an unreachable peer is an error to try again', async (peer) => {
    const cause = await within(
      openWith(definition, peer.unreachable, takeUplinks()).then(
        () => null,
        (error: unknown) => error,
      ),
      'the failure',
    );
    assert.equal((cause as { retry?: string }).retry, 'reconnect');
  });

  if (definition.downlink === 'now') {
    withPeer('sends a downlink', async (peer) => {
      const connection = await openWith(definition, peer.config, takeUplinks());
      const delivery = await connection.send!(peer.downlink!, message);
      assert.ok(delivery === 'delivered' || delivery === 'sent');
      const received = await within(peer.received!(), 'the downlink');
      await connection.close();
      assert.equal(received.at(-1)?.payload, Buffer.from(peer.downlink!.data).toString());
    });
  }
  if (definition.check) {
    withPeer('checks the connection', async (peer) => {
      await definition.check!(configured(definition, peer.config), INFO, AbortSignal.timeout(10_000));
      await assert.rejects(definition.check!(configured(definition, peer.unreachable), INFO, AbortSignal.timeout(10_000)));
    });
  }
}

export const request = (fields: Partial<InboundRequest> = {}): InboundRequest => ({
  method: 'POST',
  headers: {},
  query: {},
  body: Buffer.from(''),
  ...fields,
});

/** For types to which requests come. */
export function inboundContract(definition: AnyIntegration, config: Record<string, unknown>): void {
  const inbound = definition.inbound!;
  test(`${definition.type}: documents its metadata`, () => {
    const { metadata } = inbound.toUplink(request({ headers: { 'content-type': 'text/plain' } }), configured(definition, config));
    const described = Object.keys(definition.metadata).map((key) => key.replace(/<.*>/, ''));
    for (const key of Object.keys(metadata))
      assert.ok(
        described.some((start) => key.startsWith(start)),
        `${key} is not described`,
      );
  });
  test(`${definition.type}: never changes the payload`, () => {
    const body = Buffer.from([0, 255, 10, 13]);
    assert.deepEqual(Buffer.from(inbound.toUplink(request({ body }), configured(definition, config)).payload), body);
  });
  test(`${definition.type}: answers without a downlink`, () => {
    assert.ok([200, 204].includes(inbound.emptyReply(configured(definition, config)).status));
  });
}

export const refusedConfig = (definition: AnyIntegration, config: unknown): string[] => {
  const found = problems(definition.config, withDefaults(definition.config, config));
  return new ConfigError(found).problems.map(({ path }) => path);
};
