import type { DynamicValue } from '#engine/alarm-rules/rules.ts';
import { sameValue, type Value, valueText } from '#engine/json.ts';
import type { EntityRef } from '#engine/message.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { attributeKey, type Values } from './condition.ts';
import type { Rule } from './profile.ts';

interface Seen {
  /** null: it was deleted. */
  readonly value: Value | null;
  readonly ts: number;
}

/** As memory keeps it: type, text, ts. */
export type KeptValue = readonly [type: Value['type'], text: string, ts: number];

const TELEMETRY = 'TIME_SERIES ';
const ATTRIBUTE = 'ATTRIBUTE ';
const SCOPES = ['CLIENT_SCOPE', 'SHARED_SCOPE', 'SERVER_SCOPE'] as const;

/**
 * What rules know of a device: what its messages said, whether the chain stored it or not, over what is stored. Between two batches the newer of both counts, so
 * that what was written without a message is seen too.
 */
export class DeviceValues implements Values {
  /** Of the last update; 0: none yet. */
  ts = 0;
  private readonly device: Doc;
  private readonly snapshot: Services['snapshot'];
  private readonly said = new Map<string, Seen>();
  private readonly remembered = new Map<string, Seen>();
  private readonly stored = new Map<string, Seen | null>();
  /** Attributes of customer and tenant. */
  private readonly owned = new Map<string, Value | null>();

  constructor(device: Doc, snapshot: Services['snapshot']) {
    this.device = device;
    this.snapshot = snapshot;
  }

  remember(ts: number, values: Readonly<Record<string, KeptValue>>): void {
    this.ts = ts;
    for (const [key, [type, text, at]] of Object.entries(values)) this.remembered.set(key, { value: fromText(type, text), ts: at });
  }

  /** Of the keys that rules speak of. */
  memory(keys: ReadonlySet<string>): Record<string, KeptValue> {
    const kept: Record<string, KeptValue> = {};
    for (const [key, { value, ts }] of [...this.remembered, ...this.said]) {
      if (value === null) delete kept[key];
      else if (keys.has(key)) kept[key] = [value.type, valueText(value), ts];
    }
    return kept;
  }

  /** Values of one moment. Gives the keys that changed: at another moment all of them did. */
  update(ts: number, values: readonly (readonly [key: string, value: Value])[], keys: ReadonlySet<string>): Set<string> {
    const changed = new Set<string>();
    for (const [key, value] of values) {
      if (!keys.has(key)) continue;
      const before = (this.said.get(key) ?? this.remembered.get(key))?.value;
      if (ts !== this.ts || !before || !sameValue(before, value)) changed.add(key);
      this.said.set(key, { value, ts });
    }
    this.ts = ts;
    return changed;
  }

  remove(key: string): void {
    this.said.set(key, { value: null, ts: 0 });
  }

  of(key: string): Value | null {
    const said = this.said.get(key);
    if (said) return said.value;
    if (key.startsWith('ENTITY_FIELD ')) return fieldOf(this.device, key.slice('ENTITY_FIELD '.length));
    const [remembered, stored] = [this.remembered.get(key), this.stored.get(key)];
    if (remembered && stored) return (remembered.ts > stored.ts ? remembered : stored).value;
    return (remembered ?? stored)?.value ?? null;
  }

  dynamic(source: DynamicValue): Value | null {
    for (const place of places(source)) {
      const found = place === 'device' ? this.of(attributeKey(source.sourceAttribute!)) : this.owned.get(`${place} ${source.sourceAttribute}`);
      if (found) return found;
    }
    return null;
  }

  /** Reads what these rules need and no message of the batch has said. */
  async load(rules: readonly Rule[]): Promise<void> {
    const telemetry = new Set<string>();
    const attributes = new Set<string>();
    const owned = new Map<string, { readonly owner: 'customer' | 'tenant'; readonly key: string }>();
    const need = (name: string): void => {
      if (this.said.has(name) || this.stored.has(name)) return;
      if (name.startsWith(TELEMETRY)) telemetry.add(name.slice(TELEMETRY.length));
      else if (name.startsWith(ATTRIBUTE)) attributes.add(name.slice(ATTRIBUTE.length));
    };
    for (const { keys, dynamic, limits } of rules) {
      for (const key of keys) need(key);
      for (const source of [...dynamic, ...limits])
        for (const place of places(source)) {
          if (place === 'device') need(attributeKey(source.sourceAttribute!));
          else if (!this.owned.has(`${place} ${source.sourceAttribute}`))
            owned.set(`${place} ${source.sourceAttribute}`, { owner: place, key: source.sourceAttribute! });
        }
    }
    if (telemetry.size + attributes.size + owned.size === 0) return;
    await Promise.all([
      this.loadTelemetry([...telemetry]),
      this.loadAttributes([...attributes]),
      ...[...owned].map(async ([name, { owner, key }]) => this.owned.set(name, await this.attributeOf(owner, key))),
    ]);
  }

  private async loadTelemetry(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const latest = await this.snapshot.latest(this.ref(), keys);
    for (const key of keys) this.stored.set(TELEMETRY + key, latest.get(key) ?? null);
  }

  private async loadAttributes(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const found = await Promise.all(SCOPES.map((scope) => this.snapshot.attributes(this.ref(), scope, keys)));
    for (const key of keys) this.stored.set(ATTRIBUTE + key, null);
    for (const { key, value, lastUpdateTs } of found.flat()) this.stored.set(ATTRIBUTE + key, { value, ts: lastUpdateTs });
  }

  private async attributeOf(owner: 'customer' | 'tenant', key: string): Promise<Value | null> {
    const { customerId, tenantId } = this.device;
    if (owner === 'customer' && !customerId) return null;
    const entity: EntityRef = owner === 'customer' ? { entityType: 'CUSTOMER', id: customerId! } : { entityType: 'TENANT', id: tenantId };
    const [attribute] = await this.snapshot.attributes(entity, 'SERVER_SCOPE', [key]);
    return attribute?.value ?? null;
  }

  private ref(): EntityRef {
    return { entityType: 'DEVICE', id: this.device.id };
  }
}

/** Where a dynamic value is looked for, in this order. */
function places({ sourceType, sourceAttribute, inherit }: DynamicValue): readonly ('device' | 'customer' | 'tenant')[] {
  if (!sourceAttribute) return [];
  switch (sourceType) {
    case 'CURRENT_DEVICE':
      return inherit ? ['device', 'customer', 'tenant'] : ['device'];
    case 'CURRENT_CUSTOMER':
      return inherit ? ['customer', 'tenant'] : ['customer'];
    case 'CURRENT_TENANT':
      return ['tenant'];
    case 'CURRENT_USER':
      return [];
  }
}

function fieldOf({ name, kind, label, createdTime }: Doc, field: string): Value | null {
  if (field === 'createdTime') return { type: 'LONG', value: createdTime };
  const text = { name, type: kind, label }[field];
  return typeof text === 'string' ? { type: 'STRING', value: text } : null;
}

function fromText(type: Value['type'], text: string): Value {
  switch (type) {
    case 'BOOLEAN':
      return { type, value: text === 'true' };
    case 'DOUBLE':
      return { type, value: Number(text) };
    case 'LONG':
      return { type, value: Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text) };
    default:
      return { type, value: text };
  }
}
