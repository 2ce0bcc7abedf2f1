import { createHash } from 'node:crypto';
import { isJsonObject, type Json, plainText, printJson } from '#engine/json.ts';
import type { Message } from '#engine/message.ts';
import type { Doc } from '#engine/store.ts';

/** Texts and records of the notification centre; who carries them is another matter (`notification-delivery.ts`). */

export interface MethodTemplate {
  readonly enabled?: boolean;
  readonly subject?: string | null;
  readonly body?: string | null;
  readonly additionalConfig?: unknown;
}

/** The methods of a template that are switched on. */
export function methodsOf(template: Doc): [method: string, template: MethodTemplate][] {
  const { deliveryMethodsTemplates } = (template.body['configuration'] ?? {}) as { deliveryMethodsTemplates?: Record<string, MethodTemplate | null> };
  return Object.entries(deliveryMethodsTemplates ?? {}).filter((entry): entry is [string, MethodTemplate] => entry[1]?.enabled === true);
}

export type Variables = Readonly<Record<string, string>>;

/** What a template of type RULE_NODE may name: metadata, data by its paths, and facts of the message; the later wins. */
export function variablesOf(message: Message, data: Json): Record<string, string> {
  const variables: Record<string, string> = { ...message.metadata };
  flatten(data, '', variables);
  const words = message.originator.entityType.toLowerCase().split('_');
  return Object.assign(variables, {
    originatorType: words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join(' '),
    originatorId: message.originator.id,
    customerId: message.customerId ?? '',
    msgType: message.type,
  });
}

function flatten(value: Json, path: string, into: Record<string, string>): void {
  if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) flatten(item, path ? `${path}.${key}` : key, into);
  } else if (path !== '') {
    if (Array.isArray(value)) {
      into[path] = printJson(value);
      for (const [index, item] of value.entries()) flatten(item, `${path}[${index}]`, into);
    } else into[path] = value === null ? '' : plainText(value);
  }
}

export function recipientVariables({ body, name }: Doc) {
  const text = (key: string): string => (typeof body[key] === 'string' ? body[key] : '');
  const [recipientFirstName, recipientLastName] = [text('firstName'), text('lastName')];
  const full = [recipientFirstName, recipientLastName].filter((part) => part !== '').join(' ');
  const recipientEmail = text('email') || name;
  return { recipientTitle: full || recipientEmail, recipientEmail, recipientFirstName, recipientLastName };
}

const SUFFIXES: Readonly<Record<string, (text: string) => string>> = {
  upperCase: (text) => text.toUpperCase(),
  lowerCase: (text) => text.toLowerCase(),
  capitalize: (text) => text.charAt(0).toUpperCase() + text.slice(1),
};

/** `${name}` or `${name:suffix}`; a name that is not known stays as it is. A value is never looked at again. */
export function fillTemplate(template: string | null | undefined, variables: Variables): string {
  return (template ?? '').replaceAll(/\$\{([^}]*?)(?::([A-Za-z]+))?\}/g, (place, name: string, suffix: string | undefined) => {
    if (!Object.hasOwn(variables, name)) return place;
    const change = suffix === undefined ? undefined : SUFFIXES[suffix];
    return change ? change(variables[name]!) : variables[name]!;
  });
}

/** Counts of one request. */
export class Statistics {
  readonly #sent = new Map<string, number>();
  readonly #errors = new Map<string, Record<string, string>>();

  sent(method: string): void {
    this.#sent.set(method, (this.#sent.get(method) ?? 0) + 1);
  }
  failed(method: string, recipient: string, error: string): void {
    this.#errors.set(method, { ...this.#errors.get(method), [recipient]: error });
  }
  toJSON() {
    return {
      sent: Object.fromEntries(this.#sent),
      errors: Object.fromEntries(this.#errors),
      totalErrors: [...this.#errors.values()].reduce((sum, each) => sum + Object.keys(each).length, 0),
      error: null,
      totalSent: [...this.#sent.values()].reduce((sum, each) => sum + each, 0),
    };
  }
}

/** The same for the same parts, so that a message that is sent again makes nothing new. */
export function stableId(...parts: readonly string[]): string {
  const hash = createHash('sha256').update(parts.join('\n')).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}
