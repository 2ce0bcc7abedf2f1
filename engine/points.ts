/**
 * For fault tests: `FIELDBRIDGE_KILL_AT=before-commit:3` ends the process like `kill -9` when it passes that point for the third time. Points are named where
 * something has just become durable or is about to: `before-commit`, `after-commit`, `after-append`, `before-ack`, `mid-chain`, `mid-downlink`.
 */
export function killAt(setting: string | undefined): (point: string) => void {
  if (!setting) return () => undefined;
  const [name, nth = '1'] = setting.split(':');
  let left = Number(nth);
  return (point) => {
    if (point === name && --left === 0) process.kill(process.pid, 'SIGKILL');
  };
}
