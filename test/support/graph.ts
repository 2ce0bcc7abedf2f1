import { nodes as definitions } from '#rulechains/index.ts';

/** Nodes of the registry by the end of their class, with their defaults; arrows by names. The first node is the entry. */
export interface GraphNode {
  readonly name: string;
  readonly type: string;
  readonly config?: object;
}

export type GraphLink = readonly [from: string, label: string, to: string];

export function graph(nodes: readonly GraphNode[], links: readonly GraphLink[] = []) {
  const place = (name: string): number => nodes.findIndex((node) => node.name === name);
  return {
    firstNodeIndex: nodes.length > 0 ? 0 : null,
    nodes: nodes.map(({ name, type, config }) => {
      const definition = definitions.find((each) => each.type.endsWith(`.${type}`));
      if (!definition) throw new Error(`There is no node type ${type}`);
      return { type: definition.type, name, configurationVersion: definition.version, configuration: { ...definition.defaults, ...config } };
    }),
    connections: links.map(([from, type, to]) => ({ fromIndex: place(from), toIndex: place(to), type })),
  };
}
