import type { AnyNode, NodeInfo } from '#engine/node.ts';

/** A rule chain's graph as files and REST carry it (specs: rule-nodes §1). Unknown keys are kept for the way back. */
export interface ChainMetadata {
  ruleChainId?: { entityType: 'RULE_CHAIN'; id: string };
  version?: number;
  firstNodeIndex: number | null;
  nodes: ChainNode[];
  connections: ChainConnection[];
  ruleChainConnections?: LegacyConnection[] | null;
  notes?: unknown[];
}

export interface ChainNode {
  id?: { entityType: 'RULE_NODE'; id: string };
  createdTime?: number;
  ruleChainId?: { entityType: 'RULE_CHAIN'; id: string };
  type: string;
  name: string;
  configuration: unknown;
  configurationVersion: number;
  debugSettings: DebugSettings | null;
  singletonMode: boolean;
  queueName: string | null;
  additionalInfo: Record<string, unknown> | null;
  externalId?: unknown;
}

export interface ChainConnection {
  fromIndex: number;
  toIndex: number;
  type: string;
}

export interface LegacyConnection {
  fromIndex: number;
  targetRuleChainId: { entityType: 'RULE_CHAIN'; id: string };
  additionalInfo: Record<string, unknown> | null;
  type: string;
}

export interface DebugSettings {
  failuresEnabled: boolean;
  allEnabled: boolean;
  /** Unix ms. */
  allEnabledUntil: number;
}

/** One drawn arrow, as its target sees it. */
export interface Link {
  readonly target: CompiledNode;
  /** The label as it is drawn. */
  readonly label: string;
}

/** A chain compiled once: nodes in topological order, targets by lower-cased label. */
export interface CompiledChain {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly root: boolean;
  readonly first: CompiledNode | null;
  readonly nodes: readonly CompiledNode[];
  readonly byId: ReadonlyMap<string, CompiledNode>;
}

export interface CompiledNode {
  readonly info: NodeInfo;
  /** Place in the topological order: every target has a greater one. */
  readonly order: number;
  readonly definition: AnyNode | null;
  readonly config: unknown;
  /** Set when started. */
  readonly state: unknown;
  /** Why messages that reach it fail; null = it runs. */
  readonly problem: string | null;
  /** Lower-cased label → targets, in connection order. */
  readonly targets: ReadonlyMap<string, readonly Link[]>;
  /** Which stores and peers the node itself reads or changes, as bits. */
  readonly touches: number;
  /** The bits of everything that its arrows lead to. */
  readonly behind: number;
  /**
   * All that a message before this node may still touch, called chains included. A later message of the same originator does not touch any of it before the
   * message is through, so that effects keep the order of arrival.
   */
  readonly reach: number;
  readonly debug: DebugSettings | null;
}
