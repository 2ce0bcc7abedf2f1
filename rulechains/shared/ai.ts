import { AI_PROVIDERS, type AiModel, isAiProvider } from '#engine/ai-models.ts';
import { Busy, ConfigError, Rejected } from '#engine/errors.ts';
import { problems } from '#engine/schema.ts';
import type { Services } from '#engine/services.ts';
import { answerOf, type Prompt, problemOf, type ResponseFormat, requestTo, supports } from './ai-providers.ts';
import { googleTokens } from './google-token.ts';
import { openHttp } from './http.ts';

/** The model as it is stored now. @throws ConfigError when it is not there, or can not give what is asked for. */
export async function modelOf(
  id: string,
  format: { readonly type: ResponseFormat['type'] },
  tenantId: string,
  entities: Pick<Services['entities'], 'find'>,
): Promise<AiModel> {
  const doc = await entities.find({ entityType: 'AI_MODEL', id });
  if (!doc) throw new ConfigError(`[${tenantId}] AI model with ID: [${id}] was not found`);
  const configuration = doc.body['configuration'] as Record<string, unknown> | undefined;
  const provider = configuration?.['provider'];
  if (!isAiProvider(provider) || problems(AI_PROVIDERS[provider], configuration).length > 0) {
    throw new ConfigError(`[${tenantId}] AI model with ID: [${id}] is not a chat model that can be used`);
  }
  if (!supports(provider, format.type)) throw new ConfigError(`The response format ${format.type} is not supported by ${provider}; use TEXT`);
  return configuration as AiModel;
}

export interface Ai {
  /** The text of the answer. @throws NotConnected, Busy, Rejected, Refused, Timeout */
  ask(model: AiModel, prompt: Prompt, signal: AbortSignal): Promise<string>;
  stop(): void;
}

const MAX_BYTES = 10 * 1024 * 1024;
/** Too many requests, and overloaded as several providers say it (529: Anthropic). */
const BUSY: ReadonlySet<number> = new Set([429, 503, 529]);

export function openAi(): Ai {
  const http = openHttp();
  const tokenOf = googleTokens(http);
  return {
    async ask(model, prompt, signal) {
      const request = await requestTo(model, prompt, (key) => tokenOf(key, signal));
      const { status, body } = await http.request({ ...request, method: 'POST', maxBytes: MAX_BYTES, signal });
      if (status >= 200 && status < 300) return answerOf(model.provider, body);
      const text = `${model.provider} answered ${status}: ${problemOf(body)}`;
      throw BUSY.has(status) ? new Busy(text) : new Rejected(text);
    },
    stop: http.stop,
  };
}
