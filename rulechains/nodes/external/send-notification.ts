import { type Static, Type } from 'typebox';
import { errorText } from '#engine/errors.ts';
import { json } from '#engine/json.ts';
import { type Message, withChanges } from '#engine/message.ts';
import { defineNode, type Emission, type NodeInfo, type SendContext } from '#engine/node.ts';
import { Config } from '#engine/schema.ts';
import type { Doc } from '#engine/store.ts';
import { nullable, texts } from '../../shared/fields.ts';
import {
  fillTemplate,
  type MethodTemplate,
  methodsOf,
  recipientVariables,
  Statistics,
  stableId,
  type Variables,
  variablesOf,
} from '../../shared/notification.ts';
import { type Delivery, openDelivery } from '../../shared/notification-delivery.ts';

const SendNotification = Config({
  targets: texts({ title: 'Recipients', description: 'Ids of notification targets; who is in several is told once.' }),
  templateId: nullable(
    Type.Object({
      entityType: nullable(Type.Literal('NOTIFICATION_TEMPLATE'), { title: 'Entity type', description: 'NOTIFICATION_TEMPLATE.' }),
      id: nullable(Type.String(), { title: 'Id', description: 'UUID of the template.' }),
    }),
    { title: 'Template', description: 'A template of type RULE_NODE: subject and text of each delivery method.' },
  ),
});

type Context = SendContext<Static<typeof SendNotification>, Delivery>;

/** What could not be delivered to somebody is in the statistics, and the message takes Success all the same. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.notification.TbNotificationNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'send notification',
  summary: 'Notifies users, by template and targets of the notification centre.',
  relations: ['Success'],
  effect: true,
  config: SendNotification,
  defaults: { targets: [], templateId: null },
  start({ config, node }): Delivery {
    const missing = [
      (config.targets ?? []).length === 0 && 'targets must not be empty',
      !config.templateId?.id && 'templateId must not be null',
    ].filter((text) => text !== false);
    if (missing.length > 0) throw new Error(`'${node.name}' node configuration is invalid: ${missing.join(', ')}`);
    return openDelivery();
  },
  stop: (delivery) => delivery.stop(),
  parallel: () => 8,
  async send(message, context): Promise<Emission> {
    const variables = variablesOf(message, json(message));
    const templateId = context.config.templateId!.id!;
    const template = await context.entities.find({ entityType: 'NOTIFICATION_TEMPLATE', id: templateId });
    if (!template) throw new Error('Template is missing');
    const targets: Doc[] = [];
    for (const id of context.config.targets ?? []) {
      const target = id === null ? null : await context.entities.find({ entityType: 'NOTIFICATION_TARGET', id });
      if (target) targets.push(target);
    }
    const statistics = new Statistics();
    const request = requestOf(message, context, templateId);
    const docs: Doc[] = [];
    const users = await usersOf(targets, message, context);
    for (const [method, texts] of methodsOf(template)) {
      if (method === 'SLACK') await toSlack(targets, texts, variables, statistics, context);
      else for (const user of users) await toUser(method, texts, user, { variables, statistics, docs, request, template, message }, context);
    }
    const result = statistics.toJSON();
    const name = `${context.node.name}: ${template.name}`;
    await context.notifications.save([{ ...request, name, state: 'SENT', body: { ...request.body, status: 'SENT', stats: result } }, ...docs]);
    const metadata = { ...message.metadata, notificationRequestResult: JSON.stringify(result) };
    return { to: 'Success', message: withChanges(message, { metadata }) };
  },
  preview: (message, config) => ({
    templateId: config.templateId?.id ?? null,
    targets: config.targets,
    variables: variablesOf(message, json(message)),
  }),
});

function requestOf(message: Message, { config, node }: Pick<Context, 'config' | 'node'>, templateId: string): Doc {
  return {
    collection: 'NOTIFICATION_REQUEST',
    id: stableId(node.id, message.id),
    tenantId: message.tenantId,
    createdTime: Date.now(),
    version: 1,
    name: '',
    ref: templateId,
    body: {
      targets: config.targets,
      templateId: { entityType: 'NOTIFICATION_TEMPLATE', id: templateId },
      info: infoOf(message),
      additionalConfig: null,
      originatorEntityId: { entityType: 'RULE_NODE', id: node.id },
      ruleId: null,
    },
  };
}

const infoOf = (message: Message) => ({
  type: 'RULE_NODE',
  msgOriginator: message.originator,
  msgCustomerId: message.customerId === null ? null : { entityType: 'CUSTOMER', id: message.customerId },
  msgMetadata: message.metadata,
  msgType: message.type,
});

const configOf = (target: Doc) => (target.body['configuration'] ?? {}) as Readonly<Record<string, unknown>>;

/** Everybody once, in the order of the targets. */
async function usersOf(targets: readonly Doc[], message: Message, { notifications }: Context): Promise<Doc[]> {
  const users = new Map<string, Doc>();
  for (const target of targets) {
    const { type, usersFilter } = configOf(target);
    if (type !== 'PLATFORM_USERS' || typeof usersFilter !== 'object' || usersFilter === null) continue;
    for (const user of await notifications.recipients(usersFilter as Record<string, unknown>, message.originator)) users.set(user.id, user);
  }
  return [...users.values()];
}

interface Told {
  readonly variables: Variables;
  readonly statistics: Statistics;
  readonly docs: Doc[];
  readonly request: Doc;
  readonly template: Doc;
  readonly message: Message;
}

async function toUser(method: string, texts: MethodTemplate, user: Doc, told: Told, context: Context): Promise<void> {
  const recipient = recipientVariables(user);
  const variables = { ...told.variables, ...recipient };
  const [subject, body] = [fillTemplate(texts.subject, variables), fillTemplate(texts.body, variables)];
  try {
    if (method === 'WEB') told.docs.push(webOf(user, subject, body, texts, told, context.node));
    else if (method === 'EMAIL') await context.state.email(recipient.recipientEmail, subject, body, context);
    else if (method === 'SMS') await context.state.sms(user, body, context);
    else throw new Error(`Delivery method ${method} is not supported`);
    told.statistics.sent(method);
  } catch (cause) {
    told.statistics.failed(method, recipient.recipientTitle, errorText(cause));
  }
}

function webOf(user: Doc, subject: string, text: string, texts: MethodTemplate, { request, template, message }: Told, node: NodeInfo): Doc {
  return {
    collection: 'NOTIFICATION',
    id: stableId(node.id, message.id, user.id),
    tenantId: message.tenantId,
    createdTime: request.createdTime,
    version: 1,
    name: subject,
    ref: user.id,
    state: 'SENT',
    body: {
      requestId: { entityType: 'NOTIFICATION_REQUEST', id: request.id },
      recipientId: { entityType: 'USER', id: user.id },
      type: template.body['notificationType'] ?? 'RULE_NODE',
      deliveryMethod: 'WEB',
      subject,
      text,
      additionalConfig: texts.additionalConfig ?? null,
      info: infoOf(message),
      status: 'SENT',
    },
  };
}

async function toSlack(targets: readonly Doc[], texts: MethodTemplate, variables: Variables, statistics: Statistics, context: Context) {
  for (const target of targets) {
    const { type, conversation } = configOf(target);
    if (type !== 'SLACK') continue;
    const { id, title, name } = (conversation ?? {}) as Record<string, string | undefined>;
    try {
      await context.state.slack(id ?? '', fillTemplate(texts.body, variables), context);
      statistics.sent('SLACK');
    } catch (cause) {
      statistics.failed('SLACK', title ?? name ?? target.name, errorText(cause));
    }
  }
}
