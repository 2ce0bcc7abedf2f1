import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { ApiContext } from './context.ts';
import { PAGE_QUERY, pageLink, pageOfAll } from './paging.ts';
import { typed } from './schemas.ts';

/** Lists of what clients ask for in passing and this platform has none of. */
const NONE = [
  { url: '/api/otaPackages', who: 'T', summary: 'Firmware and software packages: none' },
  { url: '/api/widgetsBundles', who: 'STC', summary: 'Bundles of dashboard widgets: none' },
] as const;

export default async function emptyLists(plain: FastifyInstance, _context: ApiContext): Promise<void> {
  const app = typed(plain);
  for (const { url, who, summary } of NONE) {
    const schema = { tags: ['Empty lists'], summary, querystring: Type.Object(PAGE_QUERY) };
    app.get(url, { config: { who }, schema }, async ({ query }) => pageOfAll([], pageLink(query)));
  }
}
