import { type Answer, CliError, type Client, EXIT } from './client.ts';

const listPath = (integration: string | undefined): string =>
  `/api/deadLetters${integration ? `?integrationId=${encodeURIComponent(integration)}` : ''}`;

export async function listDeadLetters(client: Client, { integration, json }: { integration: string | undefined; json: boolean }): Promise<void> {
  let count = 0;
  for await (const letter of client.all(listPath(integration))) {
    count++;
    if (json) process.stdout.write(`${JSON.stringify(letter)}\n`);
    else process.stdout.write(`${letter.id.id ?? letter.id}  ${new Date(letter.createdTime).toISOString()}  ${letter.stage}  ${letter.reason}\n`);
  }
  if (!json && count === 0) process.stdout.write('No dead letters.\n');
}

export async function requeueDeadLetters(
  client: Client,
  { id, integration, print }: { id: string | undefined; integration: string | undefined; print: (text: string, value: unknown) => void },
): Promise<number> {
  const ids: string[] = [];
  if (id !== undefined) ids.push(id);
  // Read whole before the first is requeued: what dies again would come back in the same list.
  else for await (const letter of client.all(listPath(integration))) ids.push(letter.id.id ?? letter.id);
  const failed: { id: string; reason: string }[] = [];
  for (const letter of ids) {
    try {
      await client.post(`/api/deadLetter/${letter}/requeue`);
    } catch (cause) {
      if (!(cause instanceof CliError) || cause.exitCode !== EXIT.failed) throw cause;
      failed.push({ id: letter, reason: cause.message });
    }
  }
  const lines = failed.map(({ id: letter, reason }) => `\n  ${letter}: ${reason}`).join('');
  print(`${ids.length - failed.length} requeued, ${failed.length} refused${lines}`, {
    requeued: ids.length - failed.length,
    refused: failed,
  } satisfies Answer);
  return failed.length > 0 ? EXIT.failed : EXIT.good;
}
