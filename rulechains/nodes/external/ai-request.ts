import { Type } from 'typebox';
import { Busy, NotConnected } from '#engine/errors.ts';
import { isJsonObject, parseJson } from '#engine/json.ts';
import { withChanges } from '#engine/message.ts';
import { defineNode } from '#engine/node.ts';
import { fillPattern } from '#engine/pattern.ts';
import { Config } from '#engine/schema.ts';
import { modelOf, openAi } from '../../shared/ai.ts';
import type { ResponseFormat } from '../../shared/ai-providers.ts';
import { undelivered } from '../../shared/broker.ts';
import { nullable, texts } from '../../shared/fields.ts';

const LONGEST_PROMPT = 500_000;

/** A model that was asked has cost something, so nothing that it answered, or did not answer in time, is asked again; only one that could not be reached is. */
export default defineNode({
  type: 'org.thingsboard.rule.engine.ai.TbAiNode',
  version: 0,
  family: 'EXTERNAL',
  label: 'AI request',
  summary: 'Asks an AI model; its answer becomes the message data.',
  relations: ['Success'],
  effect: true,
  config: Config({
    modelId: nullable(
      Type.Object({
        entityType: Type.Literal('AI_MODEL', { title: 'Type', description: 'AI_MODEL.' }),
        id: nullable(Type.String(), { title: 'Id', description: 'Of the AI model.' }),
      }),
      { title: 'Model', description: 'One of the AI models of this tenant.' },
    ),
    systemPrompt: nullable(Type.String(), {
      title: 'System prompt',
      description: 'Pattern. What the model is to be. None: nothing is said.',
      control: 'code',
    }),
    userPrompt: nullable(Type.String(), { title: 'User prompt', description: 'Pattern. What the model is asked.', control: 'code' }),
    resourceIds: texts({ title: 'Resources', description: 'Files to be sent along; this server keeps none.' }),
    responseFormat: nullable(
      Type.Union([
        Type.Object({ type: Type.Literal('JSON', { title: 'Type', description: 'Any JSON.' }) }),
        Type.Object({ type: Type.Literal('TEXT', { title: 'Type', description: 'Any text.' }) }),
        Type.Object({
          type: Type.Literal('JSON_SCHEMA', { title: 'Type', description: 'JSON of this schema.' }),
          schema: nullable(Type.Object({}, { additionalProperties: Type.Unknown() }), { title: 'Schema', description: 'JSON Schema of the answer.' }),
        }),
      ]),
      {
        title: 'Answer',
        description: 'JSON and schemas are not for Anthropic, Bedrock and GitHub Models. What is no JSON object is put under "response".',
      },
    ),
    timeoutSeconds: Type.Integer({ title: 'Timeout', description: '1 to 600.', unit: 's' }),
    forceAck: Type.Boolean({ title: 'Acknowledge first', description: 'The answer is a new message.' }),
  }),
  defaults: {
    modelId: null,
    systemPrompt: 'You work in an industrial rule engine. Answer with one valid JSON object and nothing else: no explanation, no markdown.',
    userPrompt: null,
    resourceIds: [],
    responseFormat: { type: 'JSON' },
    timeoutSeconds: 60,
    forceAck: true,
  },
  async start({ config, node, entities }) {
    const { modelId, userPrompt, systemPrompt, timeoutSeconds, resourceIds } = config;
    if (!modelId?.id) throw new Error('AI model must be set!');
    if (!userPrompt || userPrompt.length > LONGEST_PROMPT) throw new Error(`User prompt must have 1 to ${LONGEST_PROMPT} characters!`);
    if ((systemPrompt?.length ?? 0) > LONGEST_PROMPT) throw new Error(`System prompt must not be longer than ${LONGEST_PROMPT} characters!`);
    const format = formatOf(config.responseFormat);
    if (timeoutSeconds < 1 || timeoutSeconds > 600) throw new Error('Timeout must be 1 to 600 seconds!');
    if (resourceIds && resourceIds.length > 0) throw new Error(`Resource with ID: [${resourceIds[0]}] was not found`);
    await modelOf(modelId.id, format, node.tenantId, entities);
    return openAi();
  },
  stop: (ai) => ai.stop(),
  target: (_message, config) => config.modelId?.id ?? '',
  // A second more than the request itself has, so that it is the one that says what was waited for.
  sendTimeoutMs: ({ timeoutSeconds }) => timeoutSeconds * 1000 + 1000,
  acknowledges: ({ forceAck }) => forceAck,
  preview: (message, { systemPrompt, userPrompt, responseFormat }) => ({
    systemPrompt: systemPrompt === null ? null : fillPattern(systemPrompt, message),
    userPrompt: fillPattern(userPrompt ?? '', message),
    responseFormat,
  }),
  async send(message, { config, state, signal, node, entities }) {
    const system = config.systemPrompt ? fillPattern(config.systemPrompt, message) : null;
    const prompt = { system, user: fillPattern(config.userPrompt!, message), format: formatOf(config.responseFormat) };
    try {
      const model = await modelOf(config.modelId!.id!, prompt.format, node.tenantId, entities);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(config.timeoutSeconds * 1000)]);
      const text = await state.ask(model, prompt, limit);
      return { to: 'Success', message: withChanges(message, { data: objectOf(text) }) };
    } catch (cause) {
      if (signal.aborted) throw cause;
      return undelivered(message, cause, cause instanceof NotConnected || cause instanceof Busy);
    }
  },
});

type Configured = ResponseFormat | { readonly type: 'JSON_SCHEMA'; readonly schema: object | null };

/** @throws Error when there is none, or no schema where one is wanted. */
function formatOf(format: Configured | null): ResponseFormat {
  if (!format) throw new Error('Response format must be set!');
  if (format.type !== 'JSON_SCHEMA') return format;
  if (!format.schema) throw new Error('JSON schema of the response must be set!');
  return { type: format.type, schema: format.schema };
}

/** The answer when it is a JSON object, else wrapped into one. */
function objectOf(text: string): string {
  try {
    if (isJsonObject(parseJson(text))) return text;
  } catch {
    // no JSON at all
  }
  return JSON.stringify({ response: text });
}
