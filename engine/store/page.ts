import type { Page } from '#engine/store.ts';

export const pageOf = <T>(data: T[], totalElements: number, page: number, pageSize: number): Page<T> => ({
  data,
  totalPages: Math.ceil(totalElements / pageSize),
  totalElements,
  hasNext: (page + 1) * pageSize < totalElements,
});

/** Lets everything else run: long reads do this between their steps. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
