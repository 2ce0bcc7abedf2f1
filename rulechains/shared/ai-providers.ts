import type { AiModel, AiModelOf, AiProvider } from '#engine/ai-models.ts';
import { Rejected } from '#engine/errors.ts';
import { awsHeaders } from './aws-signature.ts';

/** How each provider is asked and how it answers, by its public HTTP reference. */

export type ResponseFormat = { readonly type: 'TEXT' } | { readonly type: 'JSON' } | { readonly type: 'JSON_SCHEMA'; readonly schema: object };

export interface Prompt {
  readonly system: string | null;
  readonly user: string;
  readonly format: ResponseFormat;
}

export interface ProviderRequest {
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** Gives an access token for a Google service account. */
export type GoogleToken = (serviceAccountKey: string) => Promise<string>;

const TEXT_ONLY: ReadonlySet<AiProvider> = new Set(['ANTHROPIC', 'AMAZON_BEDROCK', 'GITHUB_MODELS']);
export const supports = (provider: AiProvider, format: ResponseFormat['type']): boolean => format === 'TEXT' || !TEXT_ONLY.has(provider);

export async function requestTo(model: AiModel, prompt: Prompt, googleToken: GoogleToken): Promise<ProviderRequest> {
  switch (model.provider) {
    case 'OPENAI': {
      const base = model.providerConfig.baseUrl || OPENAI_BASE;
      // OpenAI has renamed it, and its newer models refuse the old name; most of those that speak the same protocol know only the old one.
      const limit = base === OPENAI_BASE ? 'max_completion_tokens' : 'max_tokens';
      return completions(`${base}/chat/completions`, bearer(model.providerConfig.apiKey), model, prompt, limit);
    }
    case 'AZURE_OPENAI': {
      const { endpoint, serviceVersion, apiKey } = model.providerConfig;
      const path = `/openai/deployments/${encodeURIComponent(model.modelId)}/chat/completions?api-version=${encodeURIComponent(serviceVersion || '2024-10-21')}`;
      return completions(endpoint.replace(/\/+$/, '') + path, [['api-key', apiKey]], model, prompt, 'max_tokens');
    }
    case 'MISTRAL_AI': {
      const { apiKey, baseUrl } = model.providerConfig;
      return completions(`${baseUrl || 'https://api.mistral.ai/v1'}/chat/completions`, bearer(apiKey), model, prompt, 'max_tokens');
    }
    case 'GITHUB_MODELS': {
      const { personalAccessToken, baseUrl } = model.providerConfig;
      return completions(
        `${baseUrl || 'https://models.github.ai/inference'}/chat/completions`,
        bearer(personalAccessToken),
        model,
        prompt,
        'max_tokens',
      );
    }
    case 'ANTHROPIC':
      return anthropic(model, prompt);
    case 'GOOGLE_AI_GEMINI': {
      const { apiKey, baseUrl } = model.providerConfig;
      const url = `${baseUrl || 'https://generativelanguage.googleapis.com'}/v1beta/models/${encodeURIComponent(model.modelId)}:generateContent`;
      return gemini(url, [['x-goog-api-key', apiKey]], model, prompt);
    }
    case 'GOOGLE_VERTEX_AI_GEMINI': {
      const { projectId, location, serviceAccountKey, baseUrl } = model.providerConfig;
      const host = baseUrl || (location === 'global' ? 'https://aiplatform.googleapis.com' : `https://${location}-aiplatform.googleapis.com`);
      const path = `/v1/projects/${encodeURIComponent(projectId)}/locations/${encodeURIComponent(location)}/publishers/google/models/${encodeURIComponent(model.modelId)}:generateContent`;
      return gemini(host + path, bearer(await googleToken(serviceAccountKey)), model, prompt);
    }
    case 'AMAZON_BEDROCK':
      return bedrock(model, prompt);
    case 'OLLAMA':
      return ollama(model, prompt);
  }
}

const OPENAI_BASE = 'https://api.openai.com/v1';
const JSON_TYPE = ['Content-Type', 'application/json'] as const;
const bearer = (token: string | null | undefined): [string, string][] => (token ? [['Authorization', `Bearer ${token}`]] : []);
/** Without what is not set: providers refuse null. */
const given = (object: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null && value !== undefined));
const request = (url: string, headers: readonly (readonly [string, string])[], body: object): ProviderRequest => ({
  url,
  headers: [JSON_TYPE, ...headers],
  body: JSON.stringify(body),
});

type WithPenalties = AiModelOf<'OPENAI' | 'AZURE_OPENAI' | 'MISTRAL_AI' | 'GITHUB_MODELS'>;

function completions(
  url: string,
  headers: readonly (readonly [string, string])[],
  model: WithPenalties,
  { system, user, format }: Prompt,
  limit: string,
) {
  return request(
    url,
    headers,
    given({
      model: model.modelId,
      messages: [...(system === null ? [] : [{ role: 'system', content: system }]), { role: 'user', content: user }],
      temperature: model.temperature,
      top_p: model.topP,
      frequency_penalty: model.frequencyPenalty,
      presence_penalty: model.presencePenalty,
      [limit]: model.maxOutputTokens,
      response_format: completionFormat(format),
    }),
  );
}

function completionFormat(format: ResponseFormat): object | null {
  if (format.type === 'TEXT') return null;
  if (format.type === 'JSON') return { type: 'json_object' };
  return { type: 'json_schema', json_schema: { name: schemaName(format.schema), strict: true, schema: format.schema } };
}

/** Letters, digits, _ and -, 64 at most. */
const schemaName = ({ title }: { readonly title?: unknown }): string =>
  typeof title === 'string' && title !== '' ? title.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64) : 'response';

/** The provider wants a limit; without one of the model's this is it. */
const ANTHROPIC_TOKENS = 4096;

function anthropic({ providerConfig, ...model }: AiModelOf<'ANTHROPIC'>, { system, user }: Prompt): ProviderRequest {
  return request(
    `${providerConfig.baseUrl || 'https://api.anthropic.com'}/v1/messages`,
    [
      ['x-api-key', providerConfig.apiKey],
      ['anthropic-version', '2023-06-01'],
    ],
    given({
      model: model.modelId,
      max_tokens: model.maxOutputTokens ?? ANTHROPIC_TOKENS,
      system,
      messages: [{ role: 'user', content: user }],
      temperature: model.temperature,
      top_p: model.topP,
      top_k: model.topK,
    }),
  );
}

function gemini(
  url: string,
  headers: readonly (readonly [string, string])[],
  model: AiModelOf<'GOOGLE_AI_GEMINI' | 'GOOGLE_VERTEX_AI_GEMINI'>,
  { system, user, format }: Prompt,
): ProviderRequest {
  return request(
    url,
    headers,
    given({
      systemInstruction: system === null ? null : { parts: [{ text: system }] },
      contents: [{ role: 'user', parts: [{ text: user }] }],
      generationConfig: given({
        temperature: model.temperature,
        topP: model.topP,
        topK: model.topK,
        frequencyPenalty: model.frequencyPenalty,
        presencePenalty: model.presencePenalty,
        maxOutputTokens: model.maxOutputTokens,
        responseMimeType: format.type === 'TEXT' ? null : 'application/json',
        responseJsonSchema: format.type === 'JSON_SCHEMA' ? format.schema : null,
      }),
    }),
  );
}

/** The Converse API, which is the same for every model of Bedrock. */
function bedrock({ providerConfig, ...model }: AiModelOf<'AMAZON_BEDROCK'>, { system, user }: Prompt): ProviderRequest {
  const { region, accessKeyId, secretAccessKey, baseUrl } = providerConfig;
  const url = new URL(`${baseUrl || `https://bedrock-runtime.${region}.amazonaws.com`}/model/${encodeURIComponent(model.modelId)}/converse`);
  const inferenceConfig = given({ temperature: model.temperature, topP: model.topP, maxTokens: model.maxOutputTokens });
  const asked = request(url.href, [], {
    ...(system !== null && { system: [{ text: system }] }),
    messages: [{ role: 'user', content: [{ text: user }] }],
    ...(Object.keys(inferenceConfig).length > 0 && { inferenceConfig }),
  });
  const signed = awsHeaders('POST', url, asked.body, { accessKeyId, secretAccessKey, region, service: 'bedrock' }, Date.now());
  return { ...asked, headers: [...asked.headers, ...signed] };
}

function ollama({ providerConfig, ...model }: AiModelOf<'OLLAMA'>, { system, user, format }: Prompt): ProviderRequest {
  const { auth, baseUrl } = providerConfig;
  const login =
    auth.type === 'BASIC'
      ? [['Authorization', `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`] as const]
      : bearer(auth.type === 'TOKEN' ? auth.token : null);
  return request(
    `${baseUrl.replace(/\/+$/, '')}/api/chat`,
    login,
    given({
      model: model.modelId,
      stream: false,
      messages: [...(system === null ? [] : [{ role: 'system', content: system }]), { role: 'user', content: user }],
      format: format.type === 'TEXT' ? null : format.type === 'JSON' ? 'json' : format.schema,
      options: given({
        temperature: model.temperature,
        top_p: model.topP,
        top_k: model.topK,
        num_ctx: model.contextLength,
        num_predict: model.maxOutputTokens,
      }),
    }),
  );
}

/** As far as we read the answers; every part may be missing. */
interface Answer {
  choices?: { message?: { content?: unknown; refusal?: unknown } }[];
  content?: { type?: string; text?: string }[];
  candidates?: { content?: { parts?: { text?: string; thought?: boolean }[] }; finishReason?: string }[];
  promptFeedback?: { blockReason?: string };
  output?: { message?: { content?: { text?: string }[] } };
  message?: { content?: string };
}

/** The text that the model gave. @throws Rejected when there is none. */
export function answerOf(provider: AiProvider, body: string): string {
  let answer: Answer;
  try {
    answer = JSON.parse(body) as Answer;
  } catch (cause) {
    throw new Rejected('The model answered what is no JSON', { cause });
  }
  const text = textOf(provider, answer ?? {});
  if (text === '') throw new Rejected(`The model gave no text${reasonOf(answer ?? {})}`);
  return text;
}

const joined = (parts: readonly { text?: string }[] | undefined): string =>
  Array.isArray(parts) ? parts.map(({ text }) => text ?? '').join('') : '';

function textOf(provider: AiProvider, answer: Answer): string {
  switch (provider) {
    case 'ANTHROPIC':
      return joined(answer.content?.filter(({ type }) => type === 'text'));
    case 'GOOGLE_AI_GEMINI':
    case 'GOOGLE_VERTEX_AI_GEMINI':
      return joined(answer.candidates?.[0]?.content?.parts?.filter(({ thought }) => !thought));
    case 'AMAZON_BEDROCK':
      return joined(answer.output?.message?.content);
    case 'OLLAMA':
      return answer.message?.content ?? '';
    default: {
      const content = answer.choices?.[0]?.message?.content;
      // Mistral's reasoning models give a list of parts.
      return typeof content === 'string' ? content : joined(content as { text?: string }[] | undefined);
    }
  }
}

function reasonOf({ choices, candidates, promptFeedback }: Answer): string {
  const reason = choices?.[0]?.message?.refusal ?? promptFeedback?.blockReason ?? candidates?.[0]?.finishReason;
  return typeof reason === 'string' ? `: ${reason}` : '';
}

/** What a provider says about its refusal: all of them put it under `error` or `message`. */
export function problemOf(body: string): string {
  try {
    const { error, message } = JSON.parse(body) as { error?: { message?: unknown } | string; message?: unknown };
    const text = typeof error === 'string' ? error : (error?.message ?? message);
    if (typeof text === 'string' && text !== '') return text;
  } catch {
    // then it is the text itself
  }
  return body.slice(0, 500);
}
