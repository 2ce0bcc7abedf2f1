import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';

export interface BusOptions {
  /** A connection of its own at each call: a subscribed one can do nothing else. */
  readonly connect: () => Redis;
  /** Of the channels: the name of the database. */
  readonly prefix: string;
  /** A connection that answers nothing for so long is made anew: it may hang half open, and nobody would notice. */
  readonly answerMs?: number;
  /** A listener has thrown. */
  readonly onProblem?: (cause: unknown) => void;
}

export type BusListener = (data: unknown, fromProcessId: string) => void;

/** Publishes that Redis has not confirmed: more are dropped, so that nothing piles up in front of a server that hangs. */
const MOST_UNDER_WAY = 1000;

/**
 * Words to all processes over Redis publish/subscribe: fast and without any promise. Who is not connected misses them, and while Redis is away they are dropped.
 * Listeners of this process get them at once and always.
 */
export class Bus {
  private readonly options: Required<BusOptions>;
  /** Tells our own words, which come back to us, from those of others. */
  private readonly source = randomUUID();
  private readonly listeners = new Map<string, Set<BusListener>>();
  private readonly publisher: Redis;
  private readonly subscriber: Redis;
  private readonly timer: NodeJS.Timeout;
  /** Connections that have not answered yet whether they work. */
  private readonly asked = new Set<Redis>();
  /** On the connection of now. */
  private underWay = { words: 0 };

  constructor(options: BusOptions) {
    this.options = { answerMs: 5000, onProblem: () => {}, ...options };
    this.publisher = this.options.connect();
    this.subscriber = this.options.connect();
    for (const connection of [this.publisher, this.subscriber]) connection.on('error', () => {}); // It connects again by itself; who must know asks Redis (`monitor.ts`).
    // A word is for now: what Redis has not taken is not said later. Then nobody answers it any more, either.
    this.publisher.options.enableOfflineQueue = false;
    this.publisher.options.autoResendUnfulfilledCommands = false;
    this.publisher.on('close', () => {
      this.underWay = { words: 0 };
      this.asked.delete(this.publisher);
    });
    this.subscriber.on('close', () => this.asked.delete(this.subscriber));
    // All of them at each connect, whatever the connection remembers of the one before.
    this.subscriber.on('ready', () => this.ask([...this.listeners.keys()]));
    this.subscriber.on('message', (channel: string, text: string) => this.heard(channel, text));
    this.timer = setInterval(() => {
      this.probe(this.publisher);
      this.probe(this.subscriber);
    }, this.options.answerMs);
    this.timer.unref();
  }

  /** @param data JSON. */
  publish(topic: string, data: unknown, fromProcessId: string): void {
    const text = JSON.stringify({ source: this.source, from: fromProcessId, data: data ?? null });
    this.tell(topic, JSON.parse(text).data, fromProcessId);
    if (this.publisher.status !== 'ready' || this.underWay.words >= MOST_UNDER_WAY) return;
    const { underWay } = this;
    underWay.words++;
    this.publisher
      .publish(this.channel(topic), text)
      .catch(() => {}) // Redis went away: dropped.
      .finally(() => {
        underWay.words--;
      });
  }

  /** Returns the unsubscriber. */
  subscribe(topic: string, listener: BusListener): () => void {
    let of = this.listeners.get(topic);
    if (!of) {
      of = new Set();
      this.listeners.set(topic, of);
      this.ask([topic]);
    }
    of.add(listener);
    return () => void of.delete(listener);
  }

  close(): void {
    clearInterval(this.timer);
    this.listeners.clear();
    this.publisher.disconnect();
    this.subscriber.disconnect();
  }

  private ask(topics: readonly string[]): void {
    if (topics.length === 0 || this.subscriber.status !== 'ready') return;
    this.subscriber.subscribe(...topics.map((topic) => this.channel(topic))).catch(() => {}); // Asked again at the next connect.
  }

  private heard(channel: string, text: string): void {
    let word: { source?: unknown; from?: unknown; data?: unknown } | null;
    try {
      word = JSON.parse(text);
    } catch {
      return; // Not a word of ours.
    }
    if (typeof word !== 'object' || word === null || typeof word.from !== 'string' || word.data === undefined) return;
    if (word.source === this.source) return;
    this.tell(channel.slice(this.channel('').length), word.data, word.from);
  }

  private tell(topic: string, data: unknown, from: string): void {
    for (const listener of [...(this.listeners.get(topic) ?? [])]) {
      try {
        listener(data, from);
      } catch (cause) {
        // Perhaps a word of another version. One that can not take it must not keep it from the others.
        this.options.onProblem(cause);
      }
    }
  }

  private probe(connection: Redis): void {
    if (connection.status !== 'ready' || this.asked.has(connection)) return;
    this.asked.add(connection);
    const late = setTimeout(() => connection.disconnect(true), this.options.answerMs);
    late.unref();
    connection
      .ping()
      .catch(() => {}) // It is being made anew already.
      .finally(() => {
        clearTimeout(late);
        this.asked.delete(connection);
      });
  }

  private channel(topic: string): string {
    return `${this.options.prefix}:bus:${topic}`;
  }
}
