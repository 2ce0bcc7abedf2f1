import type { AnyIntegration } from '#engine/integration.ts';
import http from './http/index.ts';
import mqtt from './mqtt/index.ts';
import sigfox from './sigfox/index.ts';

/** Every integration type there is. */
export const integrations: readonly AnyIntegration[] = [http, mqtt, sigfox];
