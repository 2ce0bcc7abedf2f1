import { availableParallelism } from 'node:os';
import type { PortabilityHint, Script, ScriptArgs, ScriptEngine, ScriptFault, ScriptResult } from '../script.ts';
import { ARGUMENTS, staticFault } from './check.ts';
import { encodeFrame, FORGET } from './frame.ts';
import type { HostLimits } from './host.ts';
import { callsOf, type Entry, type Job, Lane, type LaneEvents, type Unit } from './lane.ts';
import { decodeOutcome, killed, NOT_RUN } from './outcome.ts';
import { compileTbel } from './tbel/compiler.ts';

export interface ScriptEngineOptions {
  /** Host processes for scripts that behave; default one, two from four cores on. */
  readonly hosts?: number;
  /** CPU time of one call. */
  readonly cpuLimitMs?: number;
  /** Time of one call, for what the CPU limit does not see; a host that is silent for longer is killed. */
  readonly wallLimitMs?: number;
  /** Memory of one isolate. */
  readonly memoryMb?: number;
  /** How long a script that overran a limit stays with the penalty host. */
  readonly penaltyMs?: number;
}

const UNIT_CALLS = 256;
const PENALTY_UNIT_CALLS = 16;
const MAX_SCRIPTS = 1000;
const WATCH_MS = 50;
const IDLE_MS = 30_000;
const ONCE_TIMEOUT_MS = 5000;
const NEVER_STOPPED = 'Script ended its host: it never stopped, or used too much memory';

/**
 * The script engine: *healthy* hosts for scripts that behave; a *trial* host, started when needed, where scripts that are new, scripts under suspicion and the
 * test dialog run; a *penalty* host at the lowest priority for scripts that overran a limit. A script's fate never depends on its neighbours, nor theirs on it.
 */
class Pool implements ScriptEngine {
  readonly #healthy: Lane[] = [];
  readonly #trial: Lane;
  readonly #penalty: Lane;
  readonly #penaltyMs: number;
  readonly #memoryMb: number;
  readonly #byText = new Map<string, Entry>();
  readonly #byScript = new WeakMap<Script, Entry>();
  readonly #watch: NodeJS.Timeout;
  #watchedAt = performance.now();
  #nextEntry = 1;
  #nextUnit = 1;
  #kills = 0;
  #flushing = false;
  #closed = false;

  constructor(options: ScriptEngineOptions) {
    const { hosts = availableParallelism() >= 4 ? 2 : 1, cpuLimitMs = 100, wallLimitMs = 1000, memoryMb = 64, penaltyMs = 300_000 } = options;
    this.#penaltyMs = penaltyMs;
    this.#memoryMb = memoryMb;
    const limits: HostLimits = { cpuMs: cpuLimitMs, wallMs: wallLimitMs, memoryMb, cellSize: 50, maxCells: 10, bail: true, inThread: false };
    const events: LaneEvents = {
      onResults: (lane, unit, codes) => this.#results(lane, unit, codes),
      onDeath: (...death) => this.#died(...death),
      onGroupDone: (group) => {
        for (const { job } of group) job.entry.suspected--;
      },
    };
    const silence = { silenceMs: wallLimitMs + 250, silenceCpuMs: cpuLimitMs + 300 };
    for (let i = 0; i < hosts; i++) this.#healthy.push(new Lane({ kind: 'healthy', limits, frameCalls: 512, ...silence, window: 2 }, events));
    // Each suspect has an isolate of its own, and a main thread that still sees its pipe close.
    const apart = { ...limits, cellSize: 1, maxCells: 8, bail: false, inThread: true };
    this.#trial = new Lane({ kind: 'trial', limits: apart, frameCalls: UNIT_CALLS, ...silence, idleMs: IDLE_MS, window: 1 }, events);
    // At the lowest priority a second may pass without any time: its clocks are slower, its CPU limit is the same.
    const slow = { ...apart, wallMs: wallLimitMs * 5, maxCells: 16 };
    this.#penalty = new Lane(
      { kind: 'penalty', limits: slow, frameCalls: PENALTY_UNIT_CALLS, ...silence, silenceMs: silence.silenceMs * 5, idleMs: IDLE_MS, window: 1 },
      events,
    );
    this.#watch = setInterval(() => this.#watchLanes(), WATCH_MS);
    this.#watch.unref();
    for (const lane of this.#healthy) lane.start();
  }

  get #lanes(): Lane[] {
    return [...this.#healthy, this.#trial, this.#penalty];
  }

  check(script: Script): Promise<ScriptFault | null> {
    const entry = this.#entry(script);
    if (entry.staticFault !== null) return Promise.resolve(entry.staticFault);
    entry.check ??= this.#enqueue(entry, [[]] as never, true).then(([result]) => {
      if (result!.ok) return null;
      // Only what the text itself is guilty of may be remembered.
      if (result!.fault.reason !== 'compile') entry.check = null;
      return result!.fault;
    });
    return entry.check;
  }

  run(script: Script, calls: readonly ScriptArgs[]): Promise<ScriptResult[]> {
    const entry = this.#entry(script);
    const { staticFault: fault } = entry;
    if (fault !== null) return Promise.resolve(calls.map(() => ({ ok: false, fault })));
    if (calls.length === 0) return Promise.resolve([]);
    return this.#enqueue(entry, calls, false);
  }

  async runOnce(script: Script, args: ScriptArgs, { timeoutMs = ONCE_TIMEOUT_MS } = {}): Promise<ScriptResult> {
    const entry = this.#entry(script);
    if (entry.staticFault !== null) return { ok: false, fault: entry.staticFault };
    return new Promise((resolve) => {
      const late = setTimeout(() => {
        this.#trial.withdraw((unit) => unit.job === job);
        this.#settle(job, 0, { ok: false, fault: { reason: 'timeout', message: `Script execution timed out after ${timeoutMs} ms` } });
      }, timeoutMs);
      const done = ([result]: ScriptResult[]): void => {
        clearTimeout(late);
        resolve(result!);
      };
      const job = this.#job(entry, [args], done, true);
      this.#trial.add(this.#unit(job, 0, 1));
      this.#flush();
    });
  }

  hints(script: Script): readonly PortabilityHint[] {
    return this.#entry(script).translation?.hints ?? [];
  }

  stats(): { hosts: number; penaltyHosts: number; kills: number; queued: number } {
    return {
      hosts: this.#healthy.filter((lane) => lane.isUp).length + (this.#trial.isUp ? 1 : 0),
      penaltyHosts: this.#penalty.isUp ? 1 : 0,
      kills: this.#kills,
      queued: this.#lanes.reduce((sum, lane) => sum + lane.queued, 0),
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    for (const lane of this.#lanes) for (const unit of lane.close()) this.#settleAll(unit, killed('Script engine is closed'));
  }

  #entry(script: Script): Entry {
    const known = this.#byScript.get(script);
    if (known !== undefined && this.#byText.has(textKey(known.script))) return known;
    const key = textKey(script);
    let entry = this.#byText.get(key);
    if (entry === undefined) {
      entry = {
        id: this.#nextEntry++,
        script: { ...script },
        ...prepared(script),
        check: null,
        home: this.#nextEntry % this.#healthy.length,
        penalisedUntil: 0,
        proven: false,
        suspected: 0,
        lastRun: 0,
        pending: 0,
      };
      this.#byText.set(key, entry);
      if (this.#byText.size > MAX_SCRIPTS) this.#forgetOldest();
    }
    this.#byScript.set(script, entry);
    return entry;
  }

  /** A converter that is edited a thousand times must not keep a thousand contexts. */
  #forgetOldest(): void {
    const now = performance.now();
    for (const [key, entry] of this.#byText) {
      if (entry.pending > 0 || entry.suspected > 0 || entry.penalisedUntil > now) continue;
      this.#byText.delete(key);
      this.#forget(entry, this.#lanes);
      return;
    }
  }

  #forget(entry: Entry, lanes: readonly Lane[]): void {
    const frame = encodeFrame(FORGET, [entry.id], '');
    for (const lane of lanes) lane.forget([entry.id], frame);
  }

  #job(entry: Entry, calls: readonly ScriptArgs[], resolve: (results: ScriptResult[]) => void, once = false): Job {
    entry.pending++;
    return { entry, calls, once, results: new Array(calls.length), left: calls.length, resolve };
  }

  #unit(job: Job, from: number, to: number, check = false): Unit {
    return { id: this.#nextUnit++ & 0x7fffffff, job, from, to, check };
  }

  #enqueue(entry: Entry, calls: readonly ScriptArgs[], check: boolean): Promise<ScriptResult[]> {
    return new Promise((resolve) => {
      const job = this.#job(entry, calls, resolve);
      this.#place(job, 0, calls.length, check);
      this.#flush();
    });
  }

  /** Gives calls of a job to the lane where its script belongs now. */
  #place(job: Job, from: number, to: number, check = false): void {
    if (this.#closed) {
      for (let k = from; k < to; k++) this.#settle(job, k, killed('Script engine is closed'));
      return;
    }
    const lane = check ? this.#homeOf(job.entry) : this.#laneOf(job.entry);
    let at = from;
    // One call shows what a new script is like; the others follow it to the lane where it belongs then.
    if (lane === this.#trial && !job.entry.proven && to - from > 1) lane.add(this.#unit(job, at, ++at));
    const size = lane === this.#penalty ? PENALTY_UNIT_CALLS : UNIT_CALLS;
    for (; at < to; at += size) lane.add(this.#unit(job, at, Math.min(to, at + size), check));
  }

  #laneOf(entry: Entry): Lane {
    if (entry.suspected > 0) return this.#trial;
    if (entry.penalisedUntil > 0) {
      if (entry.penalisedUntil > performance.now()) return this.#penalty;
      entry.penalisedUntil = 0;
    }
    return entry.proven || this.#isAlone(entry) ? this.#homeOf(entry) : this.#trial;
  }

  /** Nobody else is there whom it could hold up. */
  #isAlone(entry: Entry): boolean {
    for (const other of this.#byText.values()) if (other !== entry && (other.proven || other.pending > 0)) return false;
    return true;
  }

  #homeOf(entry: Entry): Lane {
    const home = this.#healthy[entry.home]!;
    if (home.isIdle || this.#healthy.length === 1) return home;
    return this.#healthy.find((lane) => lane.isIdle && lane.isUp) ?? home;
  }

  /** At the end of the current turn: what comes together goes in one frame. */
  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      for (const lane of this.#lanes) lane.pump();
    });
  }

  #results(lane: Lane, unit: Unit, codes: string[]): void {
    const { job } = unit;
    const { kind } = job.entry.script;
    const locate = job.entry.translation?.locate;
    let notRunFrom = -1;
    for (let k = 0; k < codes.length; k++) {
      const code = codes[k]!;
      if (code === NOT_RUN) {
        if (notRunFrom < 0) notRunFrom = k;
        continue;
      }
      if (notRunFrom >= 0) this.#again(lane, unit, notRunFrom, k);
      notRunFrom = -1;
      const result = unit.check && code === 'U' ? ({ ok: true, json: undefined } as const) : decodeOutcome(code, kind, this.#memoryMb, locate);
      if (!result.ok && (result.fault.reason === 'timeout' || result.fault.reason === 'memory' || result.fault.reason === 'killed'))
        this.#penalise(job.entry);
      else if (!unit.check && !job.entry.proven && (result.ok || result.fault.reason !== 'too-large')) this.#prove(job.entry);
      this.#settle(job, unit.from + k, result);
    }
    if (notRunFrom >= 0) this.#again(lane, unit, notRunFrom, codes.length);
  }

  /** The host left these alone because their script had overrun. */
  #again(lane: Lane, unit: Unit, from: number, to: number): void {
    if (lane.options.kind === 'healthy') this.#penalise(unit.job.entry);
    this.#place(unit.job, unit.from + from, unit.from + to);
    this.#flush();
  }

  #prove(entry: Entry): void {
    entry.proven = true;
    this.#move(entry, [this.#trial]);
  }

  #penalise(entry: Entry): void {
    const wasPenalised = entry.penalisedUntil > 0;
    entry.penalisedUntil = performance.now() + this.#penaltyMs;
    entry.proven = false;
    if (wasPenalised) return;
    this.#move(entry, [...this.#healthy, this.#trial]);
    // It is told anew when its time is over; until then its context is of no use there.
    this.#forget(entry, this.#healthy);
  }

  /** What waits there goes where its script belongs now. */
  #move(entry: Entry, lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      for (const { job, from, to, check } of lane.withdraw((unit) => unit.job.entry === entry && !unit.job.once)) this.#place(job, from, to, check);
    }
    this.#flush();
  }

  /** A host died: the units that it had begun run again in halves, away from the healthy ones, until a call that dies alone is found. */
  #died(lane: Lane, suspects: Unit[], stderr: string, stuck: { unit: Unit; index: number } | null): void {
    this.#kills++;
    const { kind } = lane.options;
    if (stuck !== null) {
      const { job, from, to } = stuck.unit;
      this.#penalise(job.entry);
      this.#settle(job, from + stuck.index, killed(NEVER_STOPPED));
      this.#place(job, from, from + stuck.index);
      this.#place(job, from + stuck.index + 1, to);
      for (const unit of suspects) if (unit !== stuck.unit) this.#place(unit.job, unit.from, unit.to, unit.check);
      this.#flush();
      return;
    }
    const only = suspects.length === 1 && callsOf(suspects[0]!) === 1 ? suspects[0]! : null;
    if (only !== null && kind !== 'healthy') {
      this.#penalise(only.job.entry);
      const isMemory = /memory|heap|allocation/i.test(stderr);
      this.#settleAll(only, isMemory ? decodeOutcome('M', only.job.entry.script.kind, this.#memoryMb) : killed(NEVER_STOPPED));
      return;
    }
    const target = kind === 'penalty' ? this.#penalty : this.#trial;
    for (const group of this.#halves(suspects)) {
      for (const { job } of group) job.entry.suspected++;
      target.addGroup(group);
    }
    this.#flush();
  }

  #halves(units: Unit[]): Unit[][] {
    if (units.length > 1) return [units.slice(0, units.length >> 1), units.slice(units.length >> 1)];
    const [unit] = units as [Unit];
    if (callsOf(unit) === 1) return [[unit]];
    const middle = (unit.from + unit.to) >> 1;
    return [[this.#unit(unit.job, unit.from, middle)], [this.#unit(unit.job, middle, unit.to)]];
  }

  #settleAll(unit: Unit, result: ScriptResult): void {
    for (let k = unit.from; k < unit.to; k++) this.#settle(unit.job, k, result);
  }

  #settle(job: Job, k: number, result: ScriptResult): void {
    // A call that was given up (runOnce) or run twice has its result already.
    if (job.results[k] !== undefined) return;
    job.results[k] = result;
    if (--job.left > 0) return;
    job.entry.pending--;
    job.resolve(job.results);
  }

  #watchLanes(): void {
    const now = performance.now();
    const isLate = now - this.#watchedAt > WATCH_MS * 5;
    this.#watchedAt = now;
    for (const lane of this.#lanes) {
      if (isLate) lane.excuse(now);
      else lane.watch(now);
    }
  }
}

/** What is known of a script without a host. */
function prepared(script: Script): Pick<Entry, 'staticFault' | 'translation'> {
  const fault = staticFault(script);
  if (fault !== null || script.language !== 'TBEL') return { staticFault: fault, translation: null };
  const compiled = compileTbel(script.body, script.argNames ?? ARGUMENTS[script.kind]);
  if (compiled.ok) return { staticFault: null, translation: compiled };
  const { message, line, column } = compiled.fault;
  if (line === undefined || column === undefined) return { staticFault: { reason: 'compile', message }, translation: null };
  return {
    staticFault: { reason: 'compile', message: `${message} (line ${line}, column ${column})`, position: { line, column } },
    translation: null,
  };
}

const textKey = ({ kind, language, body, argNames }: Script): string => `${kind} ${language} ${argNames?.join() ?? ''}\n${body}`;

/** @returns the engine; its hosts come up meanwhile, and what is run before they are up waits for them. */
export function openScriptEngine(options: ScriptEngineOptions = {}): ScriptEngine {
  return new Pool(options);
}
