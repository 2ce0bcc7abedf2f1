import type { ScriptPosition } from './errors.ts';

/** Port: user scripts run in batches, in child processes (`engine/script/` implements it). One engine for converters, nodes, test dialog, CLI. */

export type ScriptLanguage = 'JS' | 'TBEL';

/**
 * What a script is for; decides its argument names, what it is given and what its result must be.
 * - `uplink`: `Decoder(payload, metadata)`, payload a plain array of 0-255. Result: JSON text of whatever it returned.
 * - `downlink`: `Encoder(msg, metadata, msgType, integrationMetadata)`.
 * - the node scripts of specs/rule-nodes §3.1, each `(msg, metadata, msgType)`: `filter`, `switch`, `transform`, `log`, `details`, `generator`, and `any` (test dialog).
 */
export type ScriptKind = 'uplink' | 'downlink' | 'filter' | 'switch' | 'transform' | 'log' | 'details' | 'generator' | 'any';

export interface Script {
  readonly kind: ScriptKind;
  readonly language: ScriptLanguage;
  /** The stored text: the body of the function. */
  readonly body: string;
  /** Argument names, where the user may choose them (test dialog); default: the kind's. */
  readonly argNames?: readonly string[];
}

/** Arguments by kind, in order. Texts are parsed as JSON inside the host, so that a text which is no JSON is the call's own error. */
export type ScriptArgs =
  | readonly [payload: Uint8Array, metadataJson: string] // uplink
  | readonly [msgJson: string, metadataJson: string, msgType: string] // node scripts
  | readonly [msgJson: string, metadataJson: string, msgType: string, integrationMetadataJson: string]; // downlink

export interface ScriptFault {
  /** Shown to the user as it is. `timeout`, `memory`, `killed`: the limits of design §3; `shape`: the result is not what the kind must give. */
  readonly reason: 'thrown' | 'compile' | 'timeout' | 'memory' | 'killed' | 'shape' | 'too-large' | 'unavailable';
  readonly message: string;
  readonly position?: ScriptPosition;
}

export type ScriptResult = { readonly logs?: readonly string[] } & (
  | {
      readonly ok: true /** `JSON.stringify` of what was returned; `undefined` where that gives none (undefined, a function). */;
      readonly json: string | undefined;
    }
  | { readonly ok: false; readonly fault: ScriptFault }
);

/** A place in a script where ThingsBoard does something else than the text seems to say, or refuses what runs here. Lines and columns count from 1. */
export interface PortabilityHint {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface ScriptEngine {
  /**
   * Compiles without running. Resolves to the reason why the script can not be used (syntax error, blank, forbidden word), else to null.
   * Cheap to ask twice: results are kept by text.
   */
  check(script: Script): Promise<ScriptFault | null>;
  /**
   * Runs one script over many argument lists: one frame to a host, one result per call in the same order. Never rejects because of what a script does:
   * a call that killed its host is found (halving) and alone gets the fault, its batch mates run again. Each call has a context that no other script can touch.
   */
  run(script: Script, calls: readonly ScriptArgs[]): Promise<ScriptResult[]>;
  /** The test dialog and the CLI: own deadline for everything, also for reading the result. */
  runOnce(script: Script, args: ScriptArgs, options?: { timeoutMs?: number }): Promise<ScriptResult>;
  /** What the user of a script should be warned of, in order of the places; nothing for JavaScript and for what does not compile. */
  hints(script: Script): readonly PortabilityHint[];
  /** For `/metrics` and the status. */
  stats(): { hosts: number; penaltyHosts: number; kills: number; queued: number };
  close(): Promise<void>;
}
