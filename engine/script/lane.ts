import type { PortabilityHint, Script, ScriptArgs, ScriptFault, ScriptResult } from '../script.ts';
import { ARGUMENTS } from './check.ts';
import { DEFINE, encodeFrame, type Frame, LIBRARY, RESULT, RUN, STUCK } from './frame.ts';
import type { HostLimits } from './host.ts';
import { HostProcess } from './host-process.ts';
import type { Locate } from './outcome.ts';
import { librarySource } from './tbel/library-source.ts';

/** A script as the engine knows it: one for each text. */
export interface Entry {
  readonly id: number;
  readonly script: Script;
  /** Of TBEL: what its compiler made of it. */
  readonly translation: { readonly code: string; readonly hints: readonly PortabilityHint[]; readonly locate: Locate } | null;
  /** Known without a host; null: ask one. */
  readonly staticFault: ScriptFault | null;
  check: Promise<ScriptFault | null> | null;
  /** Which of the healthy lanes keeps its context warm. */
  home: number;
  /** `performance.now()` until which it runs in the penalty lane. */
  penalisedUntil: number;
  /** A call of it came back and was within its limits. Until then it runs on trial, once there are others to protect. */
  proven: boolean;
  /** Groups under suspicion that it is part of. */
  suspected: number;
  lastRun: number;
  pending: number;
}

/** One `run()`. */
export interface Job {
  readonly entry: Entry;
  readonly calls: readonly ScriptArgs[];
  /** Of the test dialog: it stays in the trial lane. */
  readonly once: boolean;
  readonly results: ScriptResult[];
  left: number;
  resolve(results: ScriptResult[]): void;
}

/** A part of a job that travels together. */
export interface Unit {
  readonly id: number;
  readonly job: Job;
  readonly from: number;
  readonly to: number;
  readonly check: boolean;
}

export interface LaneOptions {
  readonly kind: 'healthy' | 'trial' | 'penalty';
  readonly limits: HostLimits;
  /** Calls that may be in one frame. */
  readonly frameCalls: number;
  /** Silence after which a working host is killed. */
  readonly silenceMs: number;
  /** CPU time in silence after which it is killed earlier: by then its own limits should have stopped the script. */
  readonly silenceCpuMs: number;
  /** Ends a host that had nothing to do for so long; undefined: never. */
  readonly idleMs?: number;
  /** Frames sent before the first one is answered, once there is enough to fill another. */
  readonly window: number;
}

export interface LaneEvents {
  onResults(lane: Lane, unit: Unit, codes: string[]): void;
  /** The host died with these units begun. `stuck`: the call of one of them that it named as the cause. */
  onDeath(lane: Lane, suspects: Unit[], stderr: string, stuck: { unit: Unit; index: number } | null): void;
  /** All units of a group came back. */
  onGroupDone(group: Unit[]): void;
}

const FRAME_CHARS = 1 << 20;
const PIPELINE_CALLS = 32;
const MAX_RESTART_DELAY_MS = 5000;

interface Flight {
  readonly units: Map<number, Unit>;
  readonly group: Unit[] | null;
}

export const callsOf = (unit: Unit): number => Math.max(1, unit.to - unit.from);

/** One host process, the work that waits for it, and the frames it has. */
export class Lane {
  readonly options: LaneOptions;
  readonly #events: LaneEvents;
  readonly #queue: Unit[] = [];
  /** Suspects: each group is a frame of its own, before everything else. */
  readonly #groups: Unit[][] = [];
  readonly #flights: Flight[] = [];
  #host: HostProcess | null = null;
  #closed = false;
  #failedStarts = 0;
  #restart: NodeJS.Timeout | null = null;
  #idleSince = performance.now();
  #runs = 0;
  #queued = 0;
  #flightChars = 0;
  #stuck: { id: number; index: number } | null = null;
  /** When the host was last heard, and the CPU time it had when that was noticed. */
  #silent: { heardAt: number; cpuMs: number } | null = null;

  constructor(options: LaneOptions, events: LaneEvents) {
    this.options = options;
    this.#events = events;
  }

  get isUp(): boolean {
    return this.#host !== null;
  }

  get isIdle(): boolean {
    return this.#flights.length === 0 && this.#queue.length === 0 && this.#groups.length === 0;
  }

  /** Calls that wait here. */
  get queued(): number {
    return this.#queued;
  }

  add(unit: Unit): void {
    this.#queue.push(unit);
    this.#queued += callsOf(unit);
  }

  addGroup(group: Unit[]): void {
    this.#groups.push(group);
  }

  /** Takes the waiting units of a script back. */
  withdraw(matches: (unit: Unit) => boolean): Unit[] {
    const taken = this.#queue.filter(matches);
    if (taken.length > 0) this.#queue.splice(0, this.#queue.length, ...this.#queue.filter((unit) => !taken.includes(unit)));
    for (const unit of taken) this.#queued -= callsOf(unit);
    return taken;
  }

  start(): void {
    if (this.#host !== null || this.#closed || this.#restart !== null) return;
    this.#host = new HostProcess(this.options.limits, this.options.kind === 'penalty', {
      onReady: () => {
        this.#failedStarts = 0;
        this.pump();
      },
      onFrame: (frame) => this.#receive(frame),
      onExit: (stderr) => this.#ended(stderr),
    });
  }

  /** Sends what may be sent. */
  pump(): void {
    if (this.#closed) return;
    if (this.#host === null) {
      if (this.#queue.length > 0 || this.#groups.length > 0) this.start();
      return;
    }
    if (!this.#host.isReady) return;
    while (this.#flights.length < this.options.window) {
      if (this.#flights.length > 0 && (this.#flights[0]!.group !== null || this.#groups.length > 0 || this.queued < PIPELINE_CALLS)) return;
      const group = this.#groups.shift() ?? null;
      const units = group ?? this.#next();
      if (units.length === 0) return;
      if (group === null) for (const unit of units) this.#queued -= callsOf(unit);
      this.#send(units, group);
    }
  }

  #next(): Unit[] {
    const { kind, frameCalls } = this.options;
    if (kind !== 'healthy') {
      // One unit a frame, of the script that waited longest for its turn: a script with a long queue does not hold up the others.
      let best = -1;
      for (let i = 0; i < this.#queue.length; i++) {
        if (best < 0 || this.#queue[i]!.job.entry.lastRun < this.#queue[best]!.job.entry.lastRun) best = i;
      }
      return best < 0 ? [] : this.#queue.splice(best, 1);
    }
    let calls = 0;
    let chars = 0;
    let count = 0;
    for (const unit of this.#queue) {
      calls += callsOf(unit);
      chars += charsOf(unit);
      if (count > 0 && (calls > frameCalls || chars > FRAME_CHARS)) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  #send(units: Unit[], group: Unit[] | null): void {
    const host = this.#host!;
    const frames: Buffer[] = [];
    const ints: number[] = [units.length];
    const texts: string[] = [];
    for (const { id, job, from, to, check } of units) {
      const { entry } = job;
      const { kind, language, body, argNames } = entry.script;
      entry.lastRun = ++this.#runs;
      if (!host.defined.has(entry.id)) {
        host.defined.add(entry.id);
        if (language === 'TBEL' && !host.hasLibrary) {
          host.hasLibrary = true;
          frames.push(encodeFrame(LIBRARY, [], librarySource()));
        }
        const definition = { id: entry.id, kind, language, body: entry.translation?.code ?? body, argNames: argNames ?? ARGUMENTS[kind] };
        frames.push(encodeFrame(DEFINE, [], JSON.stringify(definition)));
      }
      ints.push(id, entry.id, check ? 1 : 0, check ? 0 : to - from);
      for (let k = from; k < to && !check; k++) {
        for (const argument of job.calls[k]!) {
          const text = typeof argument === 'string' ? argument : bytesAsText(argument);
          ints.push(text.length);
          texts.push(text);
        }
      }
    }
    frames.push(encodeFrame(RUN, ints, texts.length === 1 ? texts[0]! : texts.join('')));
    if (this.#flights.length === 0) {
      host.heardAt = performance.now();
      this.#flightChars = 0;
    }
    this.#flightChars += texts.reduce((sum, text) => sum + text.length, 0);
    this.#flights.push({ units: new Map(units.map((unit) => [unit.id, unit])), group });
    host.send(frames);
  }

  #receive({ type, ints, text }: Frame): void {
    if (type === STUCK) this.#stuck = { id: ints[0]!, index: ints[1]! };
    if (type !== RESULT) return;
    let p = 1;
    let at = 0;
    for (let u = 0; u < ints[0]!; u++) {
      const id = ints[p++]!;
      const count = ints[p++]!;
      const codes: string[] = [];
      for (let k = 0; k < count; k++) {
        const length = ints[p++]!;
        codes.push(text.slice(at, at + length));
        at += length;
      }
      const flight = this.#flights[0];
      const unit = flight?.units.get(id);
      if (flight === undefined || unit === undefined) continue;
      flight.units.delete(id);
      this.#events.onResults(this, unit, codes);
      if (flight.units.size === 0) {
        this.#flights.shift();
        if (flight.group !== null) this.#events.onGroupDone(flight.group);
      }
    }
    if (this.#flights.length === 0) this.#idleSince = performance.now();
    this.pump();
  }

  #ended(stderr: string): void {
    const stuck = this.#stuck;
    this.#stuck = null;
    this.#host = null;
    if (this.#closed) return;
    const [begun, ...waiting] = this.#flights.splice(0);
    for (const flight of waiting.reverse()) {
      this.#queue.unshift(...flight.units.values());
      for (const unit of flight.units.values()) this.#queued += callsOf(unit);
    }
    // Calls wait, as nothing may be judged by a host that does not come up; whoever runs the program has to know.
    if (begun === undefined && ++this.#failedStarts === 3) process.emitWarning(`Script hosts do not start: ${stderr.trim() || 'no reason given'}`);
    const delay = this.#failedStarts > 1 ? Math.min(MAX_RESTART_DELAY_MS, 50 * 2 ** this.#failedStarts) : 0;
    const again = (): void => {
      this.#restart = null;
      if (this.options.idleMs === undefined || !this.isIdle) this.start();
    };
    if (delay === 0) again();
    else this.#restart = setTimeout(again, delay);
    if (begun !== undefined) {
      if (begun.group !== null) this.#events.onGroupDone(begun.group);
      const unit = stuck === null ? undefined : begun.units.get(stuck.id);
      this.#events.onDeath(this, [...begun.units.values()], stderr, unit === undefined ? null : { unit, index: stuck!.index });
    }
  }

  /** Called several times a second: kills a host that works and says nothing, ends one that has had nothing to do. */
  watch(now: number): void {
    const host = this.#host;
    if (host === null) return;
    const { silenceMs, silenceCpuMs, idleMs } = this.options;
    if (this.#flights.length > 0 && host.isReady) {
      if (this.#silent?.heardAt !== host.heardAt) this.#silent = { heardAt: host.heardAt, cpuMs: host.cpuMs() ?? Number.NaN };
      // Large payloads are turned into arrays on the script's way, see the host's allowance.
      const largeMs = this.#flightChars / 20_000;
      const silence = now - host.heardAt;
      const burnt = silence > silenceCpuMs ? (host.cpuMs() ?? 0) - this.#silent.cpuMs : 0;
      if (silence > silenceMs + largeMs || burnt > silenceCpuMs + largeMs) host.kill();
    }
    if (idleMs !== undefined && this.isIdle && host.isReady && now - this.#idleSince > idleMs) {
      this.#host = null;
      host.hasEnded = true;
      host.kill();
    }
  }

  /** The parent itself was held up: what the host said meanwhile is still to be read. */
  excuse(now: number): void {
    if (this.#host !== null) this.#host.heardAt = now;
  }

  /** The host shall hear of this script anew, if at all. */
  forget(ids: readonly number[], frame: Buffer): void {
    const host = this.#host;
    if (host === null || !ids.some((id) => host.defined.has(id))) return;
    for (const id of ids) host.defined.delete(id);
    if (host.isReady) host.send([frame]);
  }

  /** @returns the units that will never come back. */
  close(): Unit[] {
    this.#closed = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#host?.kill();
    return [...this.#flights.flatMap((flight) => [...flight.units.values()]), ...this.#groups.flat(), ...this.#queue];
  }
}

const bytesAsText = (bytes: Uint8Array): string =>
  (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).toString('latin1');

function charsOf({ job, from, to }: Unit): number {
  let chars = 0;
  for (let k = from; k < to; k++) for (const argument of job.calls[k]!) chars += argument.length;
  return chars;
}
