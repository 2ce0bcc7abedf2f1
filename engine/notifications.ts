import type { EntityRef } from './message.ts';
import type { Doc } from './store.ts';

/** What the notification centre keeps, for the node that notifies (specs: rule-nodes §3.7). Every call is of one tenant. */
export interface Notifications {
  /** The users that a target's `usersFilter` names. @param about whose owner's users are meant where the filter says so. */
  recipients(usersFilter: Readonly<Record<string, unknown>>, about: EntityRef): Promise<Doc[]>;
  /** Requests and notifications, in one unit of work. A notification that is there already (the message was sent once before) stays as its reader left it. */
  save(docs: readonly Doc[]): Promise<void>;
}
