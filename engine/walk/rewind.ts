import type { Work } from '#engine/work.ts';

/** Remembers how far a unit of work is; the returned function takes back what was put in since. Not for callbacks: whoever rewinds keeps their own list. */
export function rewindPoint(work: Work): () => void {
  const lists = Object.values(work).filter((part): part is unknown[] => Array.isArray(part));
  const lengths = lists.map((list) => list.length);
  const counts = [...work.counts].map(([key, entry]) => [key, { ...entry }] as const);
  return () => {
    for (const [index, list] of lists.entries()) list.length = lengths[index]!;
    work.counts.clear();
    for (const [key, entry] of counts) work.counts.set(key, { ...entry });
  };
}
