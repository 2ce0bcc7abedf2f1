import { AppError, ConfigError } from '#engine/errors.ts';

/** Why the server does not start, for the one who wanted it to. */
export function refusalText(cause: unknown): string {
  const known = cause instanceof AppError || (cause as NodeJS.ErrnoException).syscall !== undefined;
  return `Fieldbridge does not start: ${known ? explain(cause as Error) : ((cause as Error).stack ?? String(cause))}\n`;
}

function explain(cause: Error): string {
  const { code, port } = cause as NodeJS.ErrnoException & { port?: number };
  if (code === 'EADDRINUSE') return `port ${port} is taken by another program; set HTTP_PORT or DEMO_MQTT_PORT to a free one, or DEMO=false`;
  if (cause instanceof ConfigError) return cause.problems.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join('\n  ');
  return cause.message;
}
