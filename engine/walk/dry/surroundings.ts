import type { Store } from '#engine/store.ts';

/** Who would be told is not there: nodes get recorders in place of these services. */
export const SILENCE = {
  devices: { observed: async () => {} },
  waiting: {
    notifyAttributes() {},
    callDevice: async () => ({ ok: false, error: 'NO_ACTIVE_CONNECTION' }) as const,
    replyToDevice() {},
    answerRpc() {},
    answerRest() {},
  },
};

/** The store as it is, but for what running nodes keep and remember: that is theirs. */
export function withoutNodeState(store: Store): Store {
  const own: Partial<Store> = {
    kept: async () => [],
    keptSummary: async () => ({ count: 0, oldestAt: null, lastReason: null }),
    nodeState: async () => null,
  };
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = own[name as keyof Store] ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
