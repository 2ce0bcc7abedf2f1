import { isJsonObject, json } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import { scope } from './fields.ts';

/** What "push to edge" and "push to cloud" share (specs: rule-nodes §3.5). */

export const pushScope = scope({ title: 'Scope', description: 'Of attributes whose message does not say it.' });

const ALARMS = ['ALARM', 'ALARM_CREATED', 'ALARM_UPDATED', 'ALARM_SEVERITY_UPDATED', 'ALARM_ACK', 'ALARM_CLEAR'];
const VALUES = ['POST_TELEMETRY_REQUEST', 'POST_ATTRIBUTES_REQUEST', 'ATTRIBUTES_UPDATED', 'ATTRIBUTES_DELETED', 'TIMESERIES_UPDATED'];
const STATES = ['CONNECT_EVENT', 'DISCONNECT_EVENT', 'ACTIVITY_EVENT', 'INACTIVITY_EVENT'];
const PUSHED: ReadonlySet<string> = new Set([...ALARMS, ...VALUES, ...STATES]);
/** Taken at first, and refused only when there is somebody to push it to. */
const LATE = 'TO_SERVER_RPC_REQUEST';

/** Edges are known here as entities; none of them talks to this server, so an event for one has nowhere to wait. */
export const NO_EDGES = 'Edge events are not kept: edges do not connect to this server';

/** Came from there: it would go round. */
export const isFrom = ({ metadata }: Message, source: string): boolean => metadata['source']?.toLowerCase() === source;

export function checkType({ type }: Message): void {
  if (!PUSHED.has(type) && type !== LATE) throw new Error(`Unsupported msg type ${type}`);
}

/** What can be checked of the event that the other side would get. */
export function checkEvent(message: Message): void {
  if (message.type === LATE) throw new Error(`Unsupported msg type: ${message.type}`);
  const data = json(message);
  if (message.type === 'ATTRIBUTES_DELETED' && !(isJsonObject(data) && Array.isArray(data['attributes'])))
    throw new Error('Message body has no list of attributes!');
}
