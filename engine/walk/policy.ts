import type { Message } from '#engine/message.ts';

/** What a named queue does with a message that failed (specs: rule-nodes §4.8). */
export interface QueuePolicy {
  readonly name: string;
  readonly retries: 'none' | 'failed' | 'timed out';
  /** How often; 0 has no end. */
  readonly attempts: number;
  /** More of a batch's messages than this part (0 to 1) failed: none of them is tried again. 0: never. */
  readonly failureFraction: number;
  readonly pauseMs: number;
  readonly longestPauseMs: number;
}

/** Main, and every queue that is not known. */
export const SKIPPING: QueuePolicy = { name: 'Main', retries: 'none', attempts: 0, failureFraction: 0, pauseMs: 0, longestPauseMs: 0 };

const RETRIES: Readonly<Record<string, QueuePolicy['retries']>> = {
  SKIP_ALL_FAILURES: 'none',
  SKIP_ALL_FAILURES_AND_TIMED_OUT: 'none',
  // What succeeded in a batch is durable and is not done twice, so "all" are those that failed.
  RETRY_ALL: 'failed',
  RETRY_FAILED: 'failed',
  RETRY_FAILED_AND_TIMED_OUT: 'failed',
  RETRY_TIMED_OUT: 'timed out',
};
export const PROCESSING_STRATEGIES = Object.keys(RETRIES);

/** From a queue's JSON as REST has it. */
export function policyOf(name: string, strategy: Readonly<Record<string, unknown>>): QueuePolicy {
  const number = (key: string): number => (typeof strategy[key] === 'number' && strategy[key] > 0 ? strategy[key] : 0);
  const pauseMs = number('pauseBetweenRetries') * 1000;
  return {
    name,
    retries: RETRIES[String(strategy['type'])] ?? 'none',
    attempts: number('retries'),
    failureFraction: number('failurePercentage'),
    pauseMs,
    longestPauseMs: Math.max(pauseMs, number('maxPauseBetweenRetries') * 1000),
  };
}

/** When the message is tried again, ms from now; null: it is not. */
export function pauseBefore(policy: QueuePolicy, { attempts }: Pick<Message, 'attempts'>, isTimeout: boolean): number | null {
  if (policy.retries === 'none' || (policy.retries === 'timed out' && !isTimeout)) return null;
  if (policy.attempts > 0 && attempts >= policy.attempts) return null;
  return Math.min(policy.pauseMs * 2 ** Math.min(attempts, 30), policy.longestPauseMs);
}

/** How many of a batch's messages failed, by queue. */
export class FailureShare {
  private readonly counts = new Map<QueuePolicy, { messages: number; failed: number }>();

  count(policy: QueuePolicy): void {
    if (policy.failureFraction === 0) return;
    const entry = this.counts.get(policy);
    if (entry) entry.messages++;
    else this.counts.set(policy, { messages: 1, failed: 0 });
  }

  /** One more failed: is that more than the queue tries again? */
  tooMany(policy: QueuePolicy): boolean {
    const entry = this.counts.get(policy);
    return entry !== undefined && ++entry.failed / entry.messages > policy.failureFraction;
  }
}
