import { writeSync } from 'node:fs';
import { type Call, Cell, type Definition, MAX_SEGMENT_CALLS } from './cell.ts';
import { Checker } from './checker.ts';
import { ALIVE, DEFINE, encodeFrame, FORGET, type Frame, FrameReader, LIBRARY, READY, RESULT, RUN, STUCK } from './frame.ts';
import { NOT_RUN } from './outcome.ts';

/**
 * The child process that runs scripts. It has no network module, no environment, no files but the program's own, and two pipes to its parent; it ends when
 * those close. It bounds what it can: time, memory and results. What it can not bound (a built-in that never looks up, an isolate that takes the process
 * along) its parent does, by killing it.
 */
export interface HostLimits {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly memoryMb: number;
  /** Scripts in one isolate. */
  readonly cellSize: number;
  /** After this many isolates the one used longest ago goes. */
  readonly maxCells: number;
  /** Leave a script's further calls alone once it has overrun: they go to the penalty host. */
  readonly bail: boolean;
  /** Run scripts beside the main thread: a host of bad scripts must see its pipe close whatever they do. */
  readonly inThread: boolean;
}

// Its command line holds its whole source: nothing for a list of processes.
process.title = 'fieldbridge script host';

const limits = JSON.parse(process.argv.at(-1) ?? '{}') as HostLimits;
const scripts = new Map<number, Definition>();
/** The runtime of TBEL. */
let library = '';
const checker = new Checker(limits.memoryMb);
const cellOf = new Map<number, Cell>();
const cells = new Set<Cell>();
const overran = new Set<number>();
/** Calls larger than this get an isolate of their own with room for the array that is made of them. */
const BIG_CALL_CHARS = 1 << 20;
const BIG_CALL_FACTOR = 32;
const HEARTBEAT_MS = 200;
/** Part of an isolate's memory from which it is replaced. */
const FULL = 0.7;
/** Time between the end of a limit and the conclusion that nothing will end the call. */
const GRACE_MS = 100;
let lastWrite = 0;
let uses = 0;
let frames = 0;
/** Frames left to run script by script, after something ran on behind a segment of several. */
let separateFrames = 0;

interface Unit {
  readonly id: number;
  readonly script: Definition;
  readonly check: boolean;
  readonly calls: Call[];
  readonly results: string[];
}

function write(frame: Buffer): void {
  lastWrite = performance.now();
  for (let at = 0; at < frame.length; ) at += writeSync(1, frame, at);
}

function answer(units: readonly Unit[]): void {
  const ints: number[] = [units.length];
  let text = '';
  for (const { id, results } of units) {
    ints.push(id, results.length);
    for (const result of results) {
      ints.push(result.length);
      text += result;
    }
  }
  write(encodeFrame(RESULT, ints, text));
}

function readUnits({ ints, text }: Frame): Unit[] {
  const units: Unit[] = [];
  let p = 1;
  let at = 0;
  for (let u = 0; u < ints[0]!; u++) {
    const [id, scriptId, mode, count] = [ints[p]!, ints[p + 1]!, ints[p + 2]!, ints[p + 3]!];
    p += 4;
    const script = scripts.get(scriptId)!;
    const calls: Call[] = [];
    for (let k = 0; k < count; k++) {
      const lengths = Array.from(ints.subarray(p, p + script.argNames.length));
      p += lengths.length;
      calls.push({ script, unit: id, index: k, at, lengths });
      for (const length of lengths) at += length;
    }
    units.push({ id, script, check: mode === 1, calls, results: [] });
  }
  if (at !== text.length) throw new Error('A frame is cut at the wrong places');
  return units;
}

const sizeOf = (call: Call): number => call.lengths.reduce((sum, length) => sum + length, 0);

function newCell(memoryMb: number): Cell {
  if (cells.size >= limits.maxCells) {
    let oldest: Cell | undefined;
    for (const cell of cells) if (oldest === undefined || cell.usedAt < oldest.usedAt) oldest = cell;
    if (oldest !== undefined) drop(oldest);
  }
  const cell = new Cell(memoryMb);
  cells.add(cell);
  return cell;
}

function drop(cell: Cell): void {
  for (const id of cell.scripts) if (cellOf.get(id) === cell) cellOf.delete(id);
  cells.delete(cell);
  cell.dispose();
}

/** The script's cell, with the script in it, or why it can not be called. */
function place(script: Definition): Cell | string {
  let cell = cellOf.get(script.id);
  if (cell?.isDead) {
    drop(cell);
    cell = undefined;
  }
  if (cell === undefined) {
    for (const other of cells) if (!other.isDead && other.size < limits.cellSize) cell = other;
    cell ??= newCell(limits.memoryMb);
    cellOf.set(script.id, cell);
  }
  cell.usedAt = ++uses;
  const fault = cell.define(script, library);
  if (fault === 'M') drop(cell);
  return fault ?? cell;
}

/** Some built-ins never look whether they shall stop. Beside the main thread it can be told which call it is; then only the end of the process helps. */
function guard(cell: Cell, part: readonly Call[], allowanceMs: number): () => void {
  let at = -1;
  let cpuMs = 0;
  const timer = setInterval(() => {
    if (at !== cell.progress) {
      at = cell.progress;
      cpuMs = cell.cpuMs;
    } else if (cell.cpuMs - cpuMs > limits.cpuMs + GRACE_MS + allowanceMs) {
      const call = part[Math.min(at, part.length - 1)]!;
      write(encodeFrame(STUCK, [call.unit, call.index], ''));
      process.kill(process.pid, 'SIGKILL');
    }
  }, 25);
  return () => clearInterval(timer);
}

/** Runs calls of one cell and gives one result for each. Whatever a call does, those before and after it are run. */
async function runCalls(first: Cell, calls: readonly Call[], text: string): Promise<string[]> {
  const results: string[] = [];
  let cell = first;
  let patience = 1;
  for (let from = 0; from < calls.length; ) {
    if (limits.bail && overran.has(calls[from]!.script.id)) {
      results.push(NOT_RUN);
      from++;
      continue;
    }
    const part = calls.slice(from, from + MAX_SEGMENT_CALLS);
    if (performance.now() - lastWrite > HEARTBEAT_MS) write(encodeFrame(ALIVE, [], ''));
    const fresh = cell.segments === 0;
    // Half a second for every 10 MB on top: turning bytes into an array is our work, not the script's.
    const allowance = Math.ceil(sizeOf(part[0]!) / 20_000);
    const timeoutMs = Math.min(limits.cpuMs * patience, limits.wallMs) + allowance;
    const started = performance.now();
    const unguard = limits.inThread ? guard(cell, part, allowance) : null;
    const segment = await cell.run(part, text, timeoutMs, limits.inThread);
    unguard?.();
    results.push(...segment.results);
    from += segment.results.length;
    if (segment.end === 'done') continue;
    if (segment.end === 'timeout') {
      if (segment.results.length > 0) {
        // Who ran on behind a whole segment can not be told from outside: let the next ones run one script at a time.
        if (segment.results.length === part.length) ranOnBehind(part);
        patience = 1;
        continue;
      }
      // A machine that gave the script no time is no fault of the script: once more, as much longer as it was short of time, up to the wall limit.
      const elapsedMs = performance.now() - started;
      if (segment.cpuMs < limits.cpuMs * 0.9 && elapsedMs < limits.wallMs) {
        patience = Math.min(limits.wallMs / limits.cpuMs, Math.max(patience * 2, (elapsedMs / segment.cpuMs) * 1.2));
        continue;
      }
      patience = 1;
      // In a full memory the collector takes the time: a call is judged in one that nobody filled before it.
      if (!fresh && cell.heapMb() > (limits.memoryMb * FULL) / 2) {
        drop(cell);
        cell = replacement(calls.slice(from));
        continue;
      }
      overran.add(part[0]!.script.id);
      results.push(`T${limits.cpuMs}`);
      from++;
      continue;
    }
    // The isolate is gone, with the results of the calls before the last one. A call that failed in a new isolate is the culprit; otherwise those
    // before it again, then that one first in a new isolate: what others left in the memory is not its fault.
    drop(cell);
    if (fresh && (segment.last === 0 || part.length === 1)) {
      overran.add(part[0]!.script.id);
      results.push(segment.message.includes('memory') ? 'M' : `K${segment.message}`);
      from++;
    } else {
      const cutAt = segment.last >= part.length ? part.length >> 1 : segment.last;
      const again = part.slice(0, Math.max(1, cutAt));
      const other = replacement(again);
      results.push(...(await runCalls(other, again, text)));
      from += again.length;
    }
    if (from < calls.length) cell = replacement(calls.slice(from));
  }
  return results;
}

function ranOnBehind(part: readonly Call[]): void {
  const ids = new Set(part.map((call) => call.script.id));
  if (ids.size > 1) separateFrames = 100;
  else for (const id of ids) overran.add(id);
}

/** A new cell with the scripts of these calls. */
function replacement(calls: readonly Call[]): Cell {
  const cell = newCell(limits.memoryMb);
  for (const { script } of calls) {
    cellOf.set(script.id, cell);
    cell.define(script, library);
  }
  return cell;
}

async function runFrame(frame: Frame): Promise<void> {
  const groups = new Map<Cell, Unit[]>();
  const ready: Unit[] = [];
  const runGroups = async (): Promise<void> => {
    for (const [cell, group] of groups) await runGroup(cell, group, frame.text);
    groups.clear();
  };
  const areSeparate = separateFrames > 0;
  if (areSeparate) separateFrames--;
  for (const unit of readUnits(frame)) {
    const { script, calls } = unit;
    if (limits.bail && overran.has(script.id) && !unit.check) {
      unit.results.push(...calls.map(() => NOT_RUN));
      ready.push(unit);
      continue;
    }
    if (unit.check && !cellOf.has(script.id)) {
      unit.results.push(checker.check(script) ?? 'U');
      ready.push(unit);
      continue;
    }
    // A new cell may push out one that has calls waiting.
    if (!cellOf.has(script.id) && cells.size >= limits.maxCells) await runGroups();
    const placed = place(script);
    if (unit.check || typeof placed === 'string') {
      const code = typeof placed === 'string' ? placed : 'U';
      unit.results.push(...(unit.check ? [code] : calls.map(() => code)));
      ready.push(unit);
    } else if (calls.some((call) => sizeOf(call) > BIG_CALL_CHARS)) {
      const bytes = calls.reduce((most, call) => Math.max(most, sizeOf(call)), 0);
      const big = new Cell(limits.memoryMb + Math.ceil((bytes * BIG_CALL_FACTOR) / 1048576));
      big.define(script, library);
      await runGroup(big, [unit], frame.text);
      big.dispose();
    } else {
      const group = groups.get(placed);
      if (group === undefined) groups.set(placed, [unit]);
      else group.push(unit);
      if (areSeparate) await runGroups();
    }
  }
  if (ready.length > 0) answer(ready);
  await runGroups();
  // A script that hoards must not make the next one fail.
  if (++frames % 16 === 0) for (const cell of cells) if (cell.heapMb() > limits.memoryMb * FULL) drop(cell);
}

async function runGroup(cell: Cell, group: readonly Unit[], text: string): Promise<void> {
  const calls = group.length === 1 ? group[0]!.calls : group.flatMap((unit) => unit.calls);
  const results = await runCalls(cell, calls, text);
  let at = 0;
  for (const unit of group) {
    for (let k = 0; k < unit.calls.length; k++) unit.results.push(results[at++]!);
  }
  answer(group);
}

async function handle(frame: Frame): Promise<void> {
  switch (frame.type) {
    case DEFINE: {
      const script = JSON.parse(frame.text) as Definition;
      scripts.set(script.id, script);
      overran.delete(script.id);
      return;
    }
    case LIBRARY:
      library = frame.text;
      return;
    case FORGET:
      for (const id of frame.ints) {
        const cell = cellOf.get(id);
        scripts.delete(id);
        cellOf.delete(id);
        cell?.forget(id);
        if (cell?.size === 0) drop(cell);
      }
      return;
    case RUN:
      return runFrame(frame);
  }
}

const reader = new FrameReader();
let work: Promise<void> = Promise.resolve();
process.stdin.on('data', (piece: Buffer) => {
  for (const frame of reader.push(piece)) {
    work = work.then(() => handle(frame));
  }
});
// Not process.exit(): that waits for a script that never ends.
process.stdin.on('close', () => process.kill(process.pid, 'SIGKILL'));
write(encodeFrame(READY, [], ''));
