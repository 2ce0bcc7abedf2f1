import { InvalidJson, isJsonObject, json, type KeyValue, parseAttributes, parseSamples, printJson, type Sample } from '#engine/json.ts';
import { type Message, metadataTs } from '#engine/message.ts';

/** What a message tells alarm rules. */
export type Update =
  /** Earliest first. */
  | { readonly is: 'telemetry'; readonly samples: readonly Sample[] }
  | { readonly is: 'attributes'; readonly values: readonly KeyValue[] }
  | { readonly is: 'deleted'; readonly keys: readonly string[] }
  /** Somebody has ended an alarm of this type. */
  | { readonly is: 'ended'; readonly alarmType: string }
  | null;

/** @throws InvalidJson for data that is not what its type says */
export function updateOf(message: Message): Update {
  switch (message.type) {
    case 'POST_TELEMETRY_REQUEST':
      return telemetry(message);
    case 'TIMESERIES_UPDATED':
      return storedTelemetry(message);
    case 'POST_ATTRIBUTES_REQUEST':
    case 'ATTRIBUTES_UPDATED':
      return { is: 'attributes', values: parseAttributes(message.data) };
    case 'ACTIVITY_EVENT':
    case 'INACTIVITY_EVENT':
      // The scope tells how the platform keeps the state of devices.
      return message.metadata['scope'] ? { is: 'attributes', values: parseAttributes(message.data) } : telemetry(message);
    case 'ATTRIBUTES_DELETED':
      return deleted(message);
    case 'ALARM_ACK':
    case 'ALARM_CLEAR':
    case 'ALARM_DELETE':
      return ended(message);
    default:
      return null;
  }
}

const telemetry = (message: Message): Update => sorted(parseSamples(message.data, metadataTs(message)));
const sorted = (samples: readonly Sample[]): Update => ({ is: 'telemetry', samples: samples.toSorted((a, b) => a.ts - b.ts) });

/** What was stored by REST: `{"timeseries": [{ts, values}]}`. */
function storedTelemetry(message: Message): Update {
  const data = json(message);
  const list = isJsonObject(data) ? data['timeseries'] : undefined;
  return Array.isArray(list) ? sorted(parseSamples(printJson(list), message.ts)) : null;
}

function deleted(message: Message): Update {
  const data = json(message);
  const keys = isJsonObject(data) ? data['attributes'] : undefined;
  if (!Array.isArray(keys)) throw new InvalidJson(`No attributes in: ${message.data}`);
  return { is: 'deleted', keys: keys.map(String) };
}

function ended(message: Message): Update {
  const data = json(message);
  if (!isJsonObject(data)) throw new InvalidJson(`The given string value cannot be transformed to Json object: ${message.data}`);
  const { type } = data;
  return message.type !== 'ALARM_ACK' && typeof type === 'string' ? { is: 'ended', alarmType: type } : null;
}
