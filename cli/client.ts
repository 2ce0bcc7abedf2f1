/** Exit codes of the command line: 0 good, 1 failed or refused, 2 usage, 3 unreachable. */
export const EXIT = { good: 0, failed: 1, usage: 2, unreachable: 3 } as const;

export class CliError extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface Connection {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of a server of any version
export type Answer = any;

/** REST calls of a logged-in user. @throws CliError with the exit code of what went wrong. */
export async function connect({ url, user, password }: Connection) {
  const base = url.replace(/\/+$/, '');

  async function send(method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(base + path, {
        method,
        headers: { 'content-type': 'application/json', ...(token ? { 'x-authorization': `Bearer ${token}` } : {}) },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(30_000),
      });
      text = await response.text();
    } catch (cause) {
      const reason = cause instanceof Error ? ((cause.cause as Error | undefined)?.message ?? cause.message) : String(cause);
      throw new CliError(
        `No answer from ${base}: ${reason}. Is the server running? Give its address with --url or FIELDBRIDGE_URL.`,
        EXIT.unreachable,
      );
    }
    let answer: Answer;
    try {
      answer = text === '' ? null : JSON.parse(text);
    } catch {
      answer = text;
    }
    if (!response.ok) {
      const hint =
        response.status === 401 && path === '/api/auth/login' ? ' Give --user and --password, or FIELDBRIDGE_USER and FIELDBRIDGE_PASSWORD.' : '';
      throw new CliError(`${answer?.message ?? `${method} ${path}: HTTP ${response.status}`}${hint}`, EXIT.failed);
    }
    return answer;
  }

  const { token } = await send('POST', '/api/auth/login', { username: user, password });
  return {
    get: (path: string): Promise<Answer> => send('GET', path, undefined, token),
    post: (path: string, body?: unknown): Promise<Answer> => send('POST', path, body, token),
    delete: (path: string): Promise<Answer> => send('DELETE', path, undefined, token),
    /** Every element of a paged list. */
    async *all(path: string): AsyncGenerator<Answer> {
      for (let page = 0; ; page++) {
        const { data, hasNext } = await send('GET', `${path}${path.includes('?') ? '&' : '?'}pageSize=100&page=${page}`, undefined, token);
        yield* data;
        if (!hasNext) return;
      }
    },
  };
}
export type Client = Awaited<ReturnType<typeof connect>>;
