export interface Placement {
  /** Who takes part, in the order in which they joined; `me` is not among them while it leaves. */
  readonly members: readonly string[];
  readonly me: string;
  /** All that there is to run. */
  readonly names: readonly string[];
  /** Holder by name; a free name is absent. A holder that is no member counts for nobody, and what it has is not free. */
  readonly owners: ReadonlyMap<string, string>;
}

/**
 * What `me` gives away and what it takes, so that all members have the same number of names, plus or minus one, with as few moves as possible. Each member asks for
 * itself: on the same facts nobody takes what another would, and on older facts nothing worse happens than a lease that is refused.
 *
 * The members that joined first have one more where it does not come out even: who joins is last and takes only its own share; who goes frees its share and
 * nobody else gives anything away.
 */
export function share({ members, me, names, owners }: Placement): { readonly release: readonly string[]; readonly take: readonly string[] } {
  const wanted = [...new Set(names)].sort();
  const held = new Map(members.map((member) => [member, 0]));
  for (const name of wanted) {
    const owner = owners.get(name);
    if (owner !== undefined && held.has(owner)) held.set(owner, held.get(owner)! + 1);
  }
  const rank = members.indexOf(me);
  const target = rank === -1 ? 0 : targetOf(rank, members.length, wanted.length);
  const isWanted = new Set(wanted);
  const vanished = [...owners].filter(([name, owner]) => owner === me && !isWanted.has(name)).map(([name]) => name);
  const release = [...vanished, ...wanted.filter((name) => owners.get(name) === me).slice(target)];
  if (rank === -1) return { release, take: [] };

  const free = wanted.filter((name) => !owners.has(name));
  let first = 0;
  for (let before = 0; before < rank; before++) {
    first += Math.max(0, targetOf(before, members.length, wanted.length) - held.get(members[before]!)!);
  }
  return { release, take: free.slice(first, first + Math.max(0, target - held.get(me)!)) };
}

const targetOf = (rank: number, members: number, names: number): number => Math.ceil((names - rank) / members);
