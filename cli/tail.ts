import { setTimeout as sleep } from 'node:timers/promises';
import { isUuid } from '#engine/id.ts';
import type { Answer, Client } from './client.ts';

const POLL_MS = 1000;

/** Prints what changes: telemetry and attributes of one device, oldest first, until interrupted. */
export async function tail(client: Client, device: string, { json }: { json: boolean }): Promise<void> {
  const { id, name } = isUuid(device)
    ? await client.get(`/api/device/${device}`)
    : await client.get(`/api/tenant/devices?deviceName=${encodeURIComponent(device)}`);
  const base = `/api/plugins/telemetry/DEVICE/${id.id}/values`;
  const seen = new Map<string, number>();
  if (!json) process.stdout.write(`${name} (${id.id}); Ctrl-C ends\n`);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  while (!stop.signal.aborted) {
    const [telemetry, attributes]: [Record<string, Answer[]>, Answer[]] = await Promise.all([
      client.get(`${base}/timeseries?useStrictDataTypes=true`),
      client.get(`${base}/attributes`),
    ]);
    const changes = [
      ...Object.entries(telemetry).flatMap(([key, points]) => points.map(({ ts, value }) => ({ kind: 'telemetry', key, ts, value }))),
      ...attributes.map(({ key, value, lastUpdateTs }) => ({ kind: 'attribute', key, ts: lastUpdateTs, value })),
    ]
      .filter(({ kind, key, ts }) => ts > (seen.get(kind + key) ?? 0))
      .sort((a, b) => a.ts - b.ts);
    for (const change of changes) {
      seen.set(change.kind + change.key, change.ts);
      const line = `${new Date(change.ts).toISOString()}  ${change.kind.padEnd(9)}  ${change.key} = ${JSON.stringify(change.value)}`;
      process.stdout.write(`${json ? JSON.stringify(change) : line}\n`);
    }
    await sleep(POLL_MS, undefined, { signal: stop.signal }).catch(() => undefined);
  }
}
