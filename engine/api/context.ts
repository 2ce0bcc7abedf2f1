import type { Observation } from '../capture/observation.ts';
import type { Control, Waiting } from '../control.ts';
import type { EntityRef } from '../message.ts';
import type { Backend } from '../queue.ts';
import type { IntegrationRegistry, NodeRegistry } from '../registry.ts';
import type { ScriptEngine } from '../script.ts';
import type { Secrets } from '../secrets.ts';
import type { Outbox } from '../walk/outbox.ts';

/** What the routes work with; main.ts hands it out. */
export interface ApiContext {
  readonly backend: Backend;
  readonly scripts: ScriptEngine;
  readonly nodes: NodeRegistry;
  readonly integrations: IntegrationRegistry;
  readonly control: Control;
  readonly waiting: Waiting;
  readonly observation: Observation;
  /** What external nodes of this process have to send. */
  readonly outbox: Pick<Outbox, 'targets'>;
  readonly secrets: Secrets;
  /** At least 64 bytes; survives a restart. */
  readonly jwtKey: Buffer;
  /** This process, in `serviceId` of messages and `server` of events. */
  readonly serviceId: string;
  /** What the web and clients call us, `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  readonly maxUplinkBytes: number;
  /** The shipped chain file: what `POST /api/ruleChain/device/default` makes. */
  readonly rootChain?: unknown;
  readonly lanesWorked: () => boolean;
  readonly now: () => number;
}

export type Authority = 'SYS_ADMIN' | 'TENANT_ADMIN' | 'CUSTOMER_USER';

/** Who calls, from the token; `request.caller` of every route that is not open. */
export interface Caller {
  readonly userId: string;
  readonly email: string;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly authority: Authority;
  /** NULL_ID for SYS_ADMIN. */
  readonly tenantId: string;
  /** NULL_ID unless CUSTOMER_USER. */
  readonly customerId: string;
  readonly sessionId: string;
  readonly ref: EntityRef;
}

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** Who may call: S, T, C in any combination; `open`: no login. Default `TC`. */
    who?: 'open' | 'S' | 'T' | 'TC' | 'ST' | 'STC' | 'C';
  }
}
