import type { AnyIntegration } from './integration.ts';
import type { AnyNode } from './node.ts';

/** Type id → definition. Refuses duplicates. What the API lists and the web draws forms from. */
export class Registry<T extends { readonly type: string; readonly aliases?: readonly string[] }> {
  private readonly byType = new Map<string, T>();
  readonly all: readonly T[];

  constructor(definitions: readonly T[]) {
    for (const definition of definitions) {
      for (const type of [definition.type, ...(definition.aliases ?? [])]) {
        if (this.byType.has(type)) throw new Error(`Two definitions of type ${type}`);
        this.byType.set(type, definition);
      }
    }
    this.all = definitions;
  }

  get(type: string): T | undefined {
    return this.byType.get(type);
  }
}

export type NodeRegistry = Registry<AnyNode>;
export type IntegrationRegistry = Registry<AnyIntegration>;
