/**
 * How much of the time writing may take. A process that has enough to do gives a small part of the CPU time that it gets, whatever else runs on the machine; one
 * that mostly waits gives a little more, so that at moderate rates nothing is left out.
 */

const BUSY_SHARE = 0.015;
const IDLE_SHARE = 0.03;
/** Part of the time that the event loop has something to do. */
const BUSY = 0.5;
/** However dear the last time was. */
const MOST_PAUSE_MS = 5000;

export class Budget {
  /** CPU time of the last piece of work, ms. */
  private cost = 0;
  private began = 0;
  private cpuAfter = 0;
  private endedAt = Number.NEGATIVE_INFINITY;
  private loop = performance.eventLoopUtilization();

  allows(): boolean {
    const elapsed = performance.now() - this.endedAt;
    if (elapsed >= MOST_PAUSE_MS || cpuMs() - this.cpuAfter >= this.cost / BUSY_SHARE) return true;
    return elapsed >= this.cost / IDLE_SHARE && performance.eventLoopUtilization(this.loop).utilization < BUSY;
  }

  start(): void {
    this.cost = 0;
    this.began = cpuMs();
  }

  /** Others have their turn. */
  pause(): void {
    this.cost += cpuMs() - this.began;
  }

  goOn(): void {
    this.began = cpuMs();
  }

  end(): void {
    this.cpuAfter = cpuMs();
    this.cost += this.cpuAfter - this.began;
    this.endedAt = performance.now();
    this.loop = performance.eventLoopUtilization();
  }
}

/** Of this thread. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
