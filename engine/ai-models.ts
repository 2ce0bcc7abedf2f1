import { type Static, type TProperties, Type } from 'typebox';

/** AI models as the API keeps them and "AI request" uses them (public OpenAPI of ThingsBoard: ai-model-controller). One shape a provider. */

const OPEN = { additionalProperties: true } as const;
const text = (title: string, description: string) => Type.String({ title, description, minLength: 1 });
const maybe = <S extends Parameters<typeof Type.Union>[0][number]>(schema: S, title: string, description: string) =>
  Type.Optional(Type.Union([schema, Type.Null()], { title, description }));
const secret = (title: string, description: string) => Type.String({ title, description, minLength: 1, secret: true });
const number = (title: string, description: string, range: { minimum?: number; maximum?: number } = {}) =>
  maybe(Type.Number(range), title, description);
const integer = (title: string, description: string, range: { minimum?: number } = {}) => maybe(Type.Integer(range), title, description);

const apiKey = secret('API key', 'Encrypted at rest, never sent back.');
/** Of ours: a provider behind a gateway, or one that speaks the same. */
const baseUrl = (fallback: string) => maybe(Type.String({ pattern: '^https?://' }), 'Base URL', `None: ${fallback}.`);

const TEMPERATURE = number('Temperature', 'How freely the model chooses.', { minimum: 0 });
const TOP_P = number('Top P', 'Share of the likeliest words to choose from.', { minimum: 0, maximum: 1 });
const TOP_K = integer('Top K', 'Number of the likeliest words to choose from.', { minimum: 0 });
const PENALTIES = {
  frequencyPenalty: number('Frequency penalty', 'Against words that were often said.'),
  presencePenalty: number('Presence penalty', 'Against words that were said at all.'),
};

function chat<P extends string, C extends TProperties, M extends TProperties>(provider: P, providerConfig: C, more: M) {
  return Type.Object(
    {
      provider: Type.Literal(provider, { title: 'Provider', description: 'Whose model it is.' }),
      providerConfig: Type.Object(providerConfig, { ...OPEN, title: 'Provider settings', description: 'Where it is and who asks.' }),
      modelType: Type.Optional(Type.Literal('CHAT', { title: 'Type', description: 'Chat models only.' })),
      modelId: text('Model', 'As the provider calls it; for Azure the deployment.'),
      temperature: TEMPERATURE,
      topP: TOP_P,
      maxOutputTokens: integer('Longest answer', 'In tokens.', { minimum: 1 }),
      timeoutSeconds: integer('Timeout', 'Kept for clients; the rule node has its own.'),
      maxRetries: integer('Retries', 'Kept for clients; the rule node does not retry.'),
      ...more,
    },
    OPEN,
  );
}

const NONE = Type.Object({ type: Type.Literal('NONE', { title: 'Type', description: 'No login.' }) }, OPEN);
const BASIC = Type.Object(
  {
    type: Type.Literal('BASIC', { title: 'Type', description: 'User name and password.' }),
    username: text('User name', 'As the server knows it.'),
    password: secret('Password', 'Encrypted at rest, never sent back.'),
  },
  OPEN,
);
const TOKEN = Type.Object(
  { type: Type.Literal('TOKEN', { title: 'Type', description: 'Bearer token.' }), token: secret('Token', 'Encrypted at rest, never sent back.') },
  OPEN,
);

export const AI_PROVIDERS = {
  OPENAI: chat('OPENAI', { baseUrl: baseUrl('https://api.openai.com/v1'), apiKey: Type.Optional(apiKey) }, PENALTIES),
  AZURE_OPENAI: chat(
    'AZURE_OPENAI',
    {
      endpoint: Type.String({
        title: 'Endpoint',
        description: 'Of the resource.',
        pattern: '^https?://',
        examples: ['https://name.openai.azure.com'],
      }),
      serviceVersion: maybe(Type.String(), 'API version', 'None: 2024-10-21.'),
      apiKey,
    },
    PENALTIES,
  ),
  GOOGLE_AI_GEMINI: chat(
    'GOOGLE_AI_GEMINI',
    { apiKey, baseUrl: baseUrl('https://generativelanguage.googleapis.com') },
    { ...PENALTIES, topK: TOP_K },
  ),
  GOOGLE_VERTEX_AI_GEMINI: chat(
    'GOOGLE_VERTEX_AI_GEMINI',
    {
      fileName: text('File', 'Name of the key file; shown in the form.'),
      projectId: text('Project', 'Id of the Google Cloud project.'),
      location: text('Location', 'For example europe-west1.'),
      serviceAccountKey: secret('Service account key', 'JSON. Encrypted at rest, never sent back.'),
      baseUrl: baseUrl('the endpoint of the location'),
    },
    { ...PENALTIES, topK: TOP_K },
  ),
  MISTRAL_AI: chat('MISTRAL_AI', { apiKey, baseUrl: baseUrl('https://api.mistral.ai/v1') }, PENALTIES),
  ANTHROPIC: chat('ANTHROPIC', { apiKey, baseUrl: baseUrl('https://api.anthropic.com') }, { topK: TOP_K }),
  AMAZON_BEDROCK: chat(
    'AMAZON_BEDROCK',
    {
      region: Type.String({ title: 'Region', description: 'Of AWS.', pattern: '^[a-z0-9-]+$' }),
      accessKeyId: text('Access key id', 'Of the IAM user.'),
      secretAccessKey: secret('Secret access key', 'Encrypted at rest, never sent back.'),
      baseUrl: baseUrl('the endpoint of the region'),
    },
    {},
  ),
  GITHUB_MODELS: chat(
    'GITHUB_MODELS',
    {
      personalAccessToken: secret('Personal access token', 'Encrypted at rest, never sent back.'),
      baseUrl: baseUrl('https://models.github.ai/inference'),
    },
    PENALTIES,
  ),
  OLLAMA: chat(
    'OLLAMA',
    {
      baseUrl: Type.String({ title: 'Base URL', description: 'Of the server.', pattern: '^https?://', examples: ['http://localhost:11434'] }),
      auth: Type.Union([NONE, BASIC, TOKEN], { title: 'Login', description: 'Where a gateway asks for one.' }),
    },
    { topK: TOP_K, contextLength: integer('Context length', 'In tokens.', { minimum: 1 }) },
  ),
} as const;

export type AiProvider = keyof typeof AI_PROVIDERS;
export type AiModelOf<P extends AiProvider> = Static<(typeof AI_PROVIDERS)[P]>;
export type AiModel = { [P in AiProvider]: AiModelOf<P> }[AiProvider];

export const isAiProvider = (name: unknown): name is AiProvider => typeof name === 'string' && Object.hasOwn(AI_PROVIDERS, name);
