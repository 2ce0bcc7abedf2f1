#!/usr/bin/env node
// Exit code 0 when the process that listens on HTTP_PORT of this machine does its work; for the health checks of containers.
const url = `http://127.0.0.1:${process.env.HTTP_PORT || 8080}/health`;
try {
  const response = await fetch(url, { signal: AbortSignal.timeout(4000) });
  process.stdout.write(`${response.status} ${await response.text()}\n`);
  process.exitCode = response.ok ? 0 : 1;
} catch (cause) {
  process.stdout.write(`${url} does not answer: ${cause.cause?.message ?? cause.message}\n`);
  process.exitCode = 1;
}
