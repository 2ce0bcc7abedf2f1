import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { findTree } from '../capture/find.ts';
import { type DownlinkHistory, journeyOf } from '../capture/journey.ts';
import { type MessageQuery, searchMessages } from '../capture/search.ts';
import type { ApiContext } from './context.ts';
import { badRequest, notFound } from './errors.ts';
import { PAGE_QUERY, pageLink, pageOfAll, uuid } from './paging.ts';
import { IdParams, typed } from './schemas.ts';

const config = { who: 'T' } as const;
const tags = ['Messages'];
const OUTCOMES = ['stored', 'filtered', 'dead', 'inFlight'] as const;
const { pageSize, page } = PAGE_QUERY;

const Search = Type.Object({
  pageSize,
  page,
  deviceId: Type.Optional(Type.String({ description: 'Messages of this device, or of any other entity with this id.' })),
  integrationId: Type.Optional(Type.String({ description: 'Messages that came by this integration.' })),
  startTs: Type.Optional(Type.Integer({ description: 'Inclusive, Unix ms.' })),
  endTs: Type.Optional(Type.Integer({ description: 'Inclusive, Unix ms.' })),
  outcome: Type.Optional(Type.String({ description: OUTCOMES.join(', ') })),
  nodeId: Type.Optional(Type.String({ description: 'Messages that passed this rule node.' })),
  text: Type.Optional(Type.String({ description: 'Case-insensitive part of payload, data, metadata or an error.' })),
});

/** What became of messages, as far back as the rings of nodes and integrations reach. */
export default async function messages(plain: FastifyInstance, context: ApiContext): Promise<void> {
  const app = typed(plain);
  const { backend, observation } = context;

  /** Something waits: of a message of which nothing happened yet, it may be this. */
  const isBusy = (): boolean => {
    const depth = backend.queue.depth();
    return depth.messages + depth.held + depth.delayed > 0;
  };

  app.get(
    '/api/messages/:id/journey',
    {
      config,
      schema: { tags, summary: 'The way of a message, from the uplink to what it caused; the id may be that of any message of it', params: IdParams },
    },
    async ({ caller, params: { id } }) => {
      const { tenantId } = caller;
      const gone = () => notFound(`Nothing is remembered of a message with id [${id}]`);
      if (!observation.segments) throw gone();
      await observation.flush();
      const downlink = async (downlinkId: string): Promise<DownlinkHistory | null> => {
        const stored = await backend.store.downlink(tenantId, downlinkId);
        return stored && { state: stored.state, reason: stored.history.at(-1)?.reason ?? null, history: stored.history };
      };
      const journey = await journeyOf(id, await findTree(observation.segments, tenantId, id), { tenantId, downlink, busy: isBusy() });
      if (!journey) throw gone();
      return journey;
    },
  );

  app.get('/api/messages', { config, schema: { tags, summary: 'Messages, newest first', querystring: Search } }, async ({ caller, query }) => {
    const link = pageLink(query);
    const { deviceId, integrationId, nodeId, startTs, endTs, outcome, text } = query;
    if (outcome !== undefined && !isOutcome(outcome)) throw badRequest(`outcome '${outcome}' is not one of ${OUTCOMES.join(', ')}`);
    const ids = Object.entries({ deviceId, integrationId, nodeId }).flatMap(([key, id]) => (id === undefined ? [] : [[key, uuid(id)]]));
    const search: MessageQuery = { ...Object.fromEntries(ids), startTs, endTs, outcome, text };
    if (!observation.segments) return pageOfAll([], link);
    await observation.flush();
    return pageOfAll(await searchMessages(observation.segments, search, { tenantId: caller.tenantId, busy: isBusy() }), link);
  });
}

const isOutcome = (text: string): text is (typeof OUTCOMES)[number] => (OUTCOMES as readonly string[]).includes(text);
