import { randomUUID } from 'node:crypto';
import type { Cluster } from '#engine/cluster.ts';

/** Asks all processes the same thing and waits for their answers a moment: who does not answer is left out. */
export interface Ask<Q, A> {
  (question: Q): Promise<A[]>;
  close(): void;
}

const WAIT_MS = 1000;

interface Question {
  readonly id: string;
  readonly question: unknown;
}

interface Answer {
  readonly id: string;
  readonly answer: unknown;
}

/** @param answer of this process: JSON, or a promise of it. What it throws is no answer. */
export function createAsk<Q, A>(cluster: Cluster, topic: string, answer: (question: Q) => A | Promise<A>, waitMs = WAIT_MS): Ask<Q, A> {
  if (!cluster.shared) {
    const alone = async (question: Q): Promise<A[]> => [await answer(question)];
    return Object.assign(alone, { close() {} });
  }
  const waiting = new Map<string, (from: string, answer: A) => void>();
  const asked = `${topic}.ask`;
  const answered = `${topic}.answer`;
  // Our own words come back to us: what is answered here needs no word.
  const me = randomUUID();
  const ends = [
    cluster.subscribe(asked, (data) => {
      const { id, question } = data as Question;
      if (id.startsWith(me)) return;
      void Promise.resolve(answer(question as Q)).then(
        (own) => cluster.publish(answered, { id, answer: own } satisfies Answer),
        () => {},
      );
    }),
    cluster.subscribe(answered, (data, from) => {
      const { id, answer: theirs } = data as Answer;
      waiting.get(id)?.(from, theirs as A);
    }),
  ];
  let count = 0;

  async function ask(question: Q): Promise<A[]> {
    const id = `${me} ${count++}`;
    const answers = new Map<string, A>();
    const others = (await cluster.processes().catch(() => [])).filter((each) => each.id !== cluster.id());
    const all = Promise.withResolvers<void>();
    waiting.set(id, (from, theirs) => {
      answers.set(from, theirs);
      if (others.every((each) => answers.has(each.id))) all.resolve();
    });
    const timer = setTimeout(all.resolve, waitMs);
    if (others.length === 0) all.resolve();
    else cluster.publish(asked, { id, question } satisfies Question);
    const own = await answer(question);
    await all.promise;
    clearTimeout(timer);
    waiting.delete(id);
    return [own, ...answers.values()];
  }
  return Object.assign(ask, {
    close() {
      for (const end of ends) end();
    },
  });
}
