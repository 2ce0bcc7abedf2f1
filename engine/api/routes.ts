import type { FastifyInstance } from 'fastify';
import type { ApiContext } from './context.ts';

export type Routes = (app: FastifyInstance, context: ApiContext) => Promise<void>;

/** Every resource of the API, by hand. */
export const ROUTES: readonly Routes[] = [];
