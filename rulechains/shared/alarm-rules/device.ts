import { errorText, isPassing } from '#engine/errors.ts';
import type { Message, Metadata } from '#engine/message.ts';
import type { Emission, NodeInfo } from '#engine/node.ts';
import type { Services } from '#engine/services.ts';
import type { Doc } from '#engine/store.ts';
import { type AlarmContext, alarmMessage, clear, type Occasion, originatorOf, raise } from './alarm.ts';
import { attributeKey, holds } from './condition.ts';
import { type Count, counted, dueAt, elapsed, NOTHING, type Verdict } from './counting.ts';
import { type ProfileRules, type Rule, type RuledAlarm, rulesOfAlarm } from './profile.ts';
import { isInForce } from './schedule.ts';
import type { Update } from './update.ts';
import { DeviceValues, type KeptValue } from './values.ts';

export type RuleServices = Pick<Services, 'alarms' | 'kept' | 'memory' | 'messages' | 'snapshot'>;

/** What the node remembers of a device, JSON. */
interface Memory {
  /** Counts of the rules of another profile, or of other rules of the same, mean nothing. */
  readonly profileId: string;
  readonly profileVersion: number;
  readonly ts: number;
  readonly values: Readonly<Record<string, KeptValue>>;
  /** By id of the alarm and name of the rule; what is not there is nothing. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, Count>>>>;
  /** When the next timer is due; null: none is set. */
  readonly wakeAt: number | null;
  /** For what the clock alone brings about. */
  readonly last: Omit<Occasion, 'customerId'> | null;
}

/** What changes without a message is looked at as often. */
const WATCH_MS = 60_000;
/** A timer that is not there so long after its time is not waited for. */
const LATE_MS = 300_000;

/** A rule came true, of many at most one of an alarm. */
interface Judged {
  readonly verdict: Verdict;
  /** It is nothing new. */
  readonly silent?: boolean;
  readonly duration?: number;
}

/** The alarm rules of one device while a batch lasts. One message after the other. */
export class DeviceRules {
  private readonly device: Doc;
  private readonly rules: ProfileRules;
  private readonly node: NodeInfo;
  private readonly services: RuleServices;
  private readonly keepsCounts: boolean;
  private readonly values: DeviceValues;
  private readonly context: AlarmContext;
  private readonly counts = new Map<Rule, Count>();
  private isLoaded = false;
  /** The memory is another one than it was. */
  private isChanged = false;
  /** What durations wait for may be another time than it was. */
  private isStirred = false;
  private wakeAt: number | null = null;
  private last: Memory['last'] = null;
  /** The next timer is not earlier, ms from now. */
  private pauseMs = 0;

  /** @param keepsCounts also when the profile is saved anew */
  constructor(device: Doc, rules: ProfileRules, node: NodeInfo, services: RuleServices, keepsCounts: boolean) {
    this.device = device;
    this.keepsCounts = keepsCounts;
    this.rules = rules;
    this.node = node;
    this.services = services;
    this.values = new DeviceValues(device, services.snapshot);
    this.context = { node, device, alarms: services.alarms, messages: services.messages };
  }

  get hasRules(): boolean {
    return this.rules.alarms.length > 0;
  }

  /** Alarms that the message raises, changes or clears are added to `emissions`: those before an error stay. @throws Error where a rule can not be judged */
  async process(message: Message, update: Update, emissions: Emission[]): Promise<void> {
    if (!update || !this.hasRules) return;
    await this.load();
    const occasion: Occasion = { metadata: message.metadata, queueName: message.queueName, customerId: message.customerId };
    if (update.is === 'ended') this.ended(update.alarmType);
    else if (update.is === 'telemetry')
      for (const { ts, values } of update.samples) {
        const changed = this.values.update(ts, named('TIME_SERIES', values), this.rules.keys);
        await this.changed(changed, 'telemetry', occasion, emissions);
      }
    else if (update.is === 'attributes') {
      const changed = this.values.update(this.services.messages.now(), named('ATTRIBUTE', update.values), this.rules.keys);
      await this.changed(changed, 'attributes', occasion, emissions);
    } else {
      const keys = new Set(update.keys.map(attributeKey).filter((key) => this.rules.keys.has(key)));
      for (const key of keys) this.values.remove(key);
      await this.changed(keys, 'attributes', occasion, emissions);
    }
  }

  /** @param key of the timer that is due: when it should be. The clock of another process may have been ahead. */
  async tick(key: string): Promise<Emission[]> {
    await this.load();
    const now = this.services.messages.now();
    if (this.wakeAt !== null && this.wakeAt <= Math.max(now, Number(key))) this.wakeAt = null;
    this.isChanged = true;
    this.isStirred = true;
    // A rule that its own timer does not bring to an end must not keep the lane busy.
    this.pauseMs = 1000;
    const emissions: Emission[] = [];
    const occasion: Occasion = { ...(this.last ?? { metadata: {}, queueName: null }), customerId: null };
    for (const ruled of this.rules.alarms) {
      const waiting = rulesOfAlarm(ruled).filter((rule) => this.count(rule).lastTs > 0);
      if (waiting.length === 0) continue;
      await this.values.load(rulesOfAlarm(ruled));
      try {
        await this.judgeAlarm(ruled, (rule) => this.judgeByClock(rule, now), occasion, emissions);
      } catch (cause) {
        // What a rule requires is no number: its next message says so by Failure.
        if (isPassing(cause)) throw cause;
      }
    }
    return emissions;
  }

  /** Keeps what there is to remember, and sets the timer. */
  async close(): Promise<void> {
    if (this.isStirred) await this.setTimer();
    if (!this.isChanged || !this.rules.remembers) return;
    const counts: Record<string, Record<string, Count>> = {};
    for (const ruled of this.rules.alarms)
      for (const rule of rulesOfAlarm(ruled)) {
        const count = this.count(rule);
        if (count !== NOTHING) counts[ruled.alarm.id] = { ...counts[ruled.alarm.id], [rule.name]: count };
      }
    const { profileId, profileVersion, keys } = this.rules;
    const { wakeAt, last, values } = this;
    const memory: Memory = {
      profileId,
      profileVersion,
      ts: values.ts,
      values: values.memory(keys),
      counts,
      wakeAt,
      last: this.waiting().length > 0 ? last : null,
    };
    this.services.memory.set(this.node.id, this.device.id, memory);
  }

  private async load(): Promise<void> {
    if (this.isLoaded || !this.rules.remembers) return;
    const memory = (await this.services.memory.get(this.node.id, this.device.id)) as Memory | null;
    this.isLoaded = true;
    if (!memory) return;
    this.wakeAt = memory.wakeAt;
    if (memory.profileId !== this.rules.profileId) return;
    this.values.remember(memory.ts, memory.values);
    this.last = memory.last;
    if (memory.profileVersion !== this.rules.profileVersion && !this.keepsCounts) return;
    for (const ruled of this.rules.alarms)
      for (const rule of rulesOfAlarm(ruled)) {
        const count = memory.counts[ruled.alarm.id]?.[rule.name];
        if (count) this.counts.set(rule, count);
      }
  }

  private async changed(keys: ReadonlySet<string>, what: 'telemetry' | 'attributes', occasion: Occasion, emissions: Emission[]): Promise<void> {
    if (keys.size === 0) return;
    this.isChanged = true;
    if (this.rules.alarms.some((ruled) => rulesOfAlarm(ruled).some(({ limits }) => limits.length > 0))) this.isStirred = true;
    for (const ruled of this.rules.alarms) {
      const touched = rulesOfAlarm(ruled).filter((rule) => isTouched(rule, keys, what));
      if (touched.length === 0) continue;
      await this.values.load(touched);
      await this.judgeAlarm(ruled, (rule) => (touched.includes(rule) ? this.judgeByValues(rule) : null), occasion, emissions);
    }
    this.last = { metadata: occasion.metadata, queueName: occasion.queueName };
  }

  private judgeByValues(rule: Rule): Judged {
    const { ts } = this.values;
    const isMet = isInForce(rule.rule.schedule, ts, this.values) && holds(rule.rule.condition.condition, this.values);
    const { verdict, count } = counted(rule.spec, this.count(rule), isMet, ts, this.values);
    this.setCount(rule, count);
    return { verdict };
  }

  private judgeByClock(rule: Rule, now: number): Judged {
    const count = this.count(rule);
    const judged = elapsed(rule.spec, count, isInForce(rule.rule.schedule, now, this.values), now, this.values);
    if (judged.verdict === 'true' && !count.fired) this.setCount(rule, { ...count, fired: true });
    return { ...judged, silent: count.fired };
  }

  /** Create rules from the most severe on; the first that is true wins. Else the clear rule. @param judge null: the rule is not asked */
  private async judgeAlarm(ruled: RuledAlarm, judge: (rule: Rule) => Judged | null, occasion: Occasion, emissions: Emission[]): Promise<void> {
    for (const [place, rule] of ruled.create.entries()) {
      const judged = judge(rule);
      if (judged?.verdict === 'false') this.setCount(rule, NOTHING);
      if (judged?.verdict !== 'true') continue;
      // By the clock the milder ones have waited as long: their time is over too.
      if (judged.duration !== undefined)
        for (const milder of ruled.create.slice(place + 1)) if (judge(milder)?.verdict === 'false') this.setCount(milder, NOTHING);
      if (ruled.clear) this.setCount(ruled.clear, NOTHING);
      const raised = judged.silent ? null : await raise(ruled, rule, this.values.ts, this.values, this.context);
      if (raised) emissions.push(await alarmMessage(raised, this.told(rule, judged), occasion, this.context));
      return;
    }
    const cleared = await this.judgeClear(ruled, judge);
    if (cleared) emissions.push(await alarmMessage(cleared, this.told(ruled.clear!, {}), occasion, this.context));
  }

  private async judgeClear(ruled: RuledAlarm, judge: (rule: Rule) => Judged | null): ReturnType<typeof raise> {
    const { clear: rule, create } = ruled;
    if (!rule) return null;
    // Only while there is something to clear does it count; a rule that does not count says without asking the store that it is not true.
    let judged = rule.spec.type === 'SIMPLE' ? judge(rule) : null;
    if (rule.spec.type === 'SIMPLE' && judged?.verdict !== 'true') return null;
    const originator = originatorOf(this.device);
    const { alarms } = this.services;
    const { alarmType } = ruled.alarm;
    const active = alarms.hasNone(originator, alarmType) ? null : await alarms.active(originator, alarmType);
    if (!active) {
      this.setCount(rule, NOTHING);
      return null;
    }
    judged ??= judge(rule);
    if (!judged || judged.verdict === 'not yet') return null;
    this.setCount(rule, NOTHING);
    if (judged.verdict === 'false') return null;
    for (const each of create) this.setCount(each, NOTHING);
    return clear(active, rule, this.values, this.context);
  }

  private ended(alarmType: string): void {
    for (const ruled of this.rules.alarms) {
      if (ruled.alarm.alarmType === alarmType) for (const rule of rulesOfAlarm(ruled)) this.setCount(rule, NOTHING);
    }
  }

  /** What a rule has counted, as the metadata of alarm messages tells it. */
  private told(rule: Rule, { duration }: Pick<Judged, 'duration'>): Metadata {
    const count = this.count(rule);
    if (rule.spec.type === 'REPEATING') return { alarmConditionRepeats: String(count.events) };
    return rule.spec.type === 'DURATION' ? { alarmConditionDuration: String(duration ?? count.duration) } : {};
  }

  private count(rule: Rule): Count {
    return this.counts.get(rule) ?? NOTHING;
  }

  private setCount(rule: Rule, count: Count): void {
    if (this.count(rule) === count) return;
    this.counts.set(rule, count);
    this.isChanged = true;
    if (rule.spec.type === 'DURATION') this.isStirred = true;
  }

  private waiting(): Rule[] {
    return this.rules.alarms.flatMap(rulesOfAlarm).filter((rule) => rule.spec.type === 'DURATION' && this.count(rule).lastTs > 0);
  }

  private async setTimer(): Promise<void> {
    const waiting = this.waiting();
    if (waiting.length === 0) return;
    const now = this.services.messages.now();
    await this.values.load(waiting);
    const times = waiting.flatMap((rule) => this.dueOf(rule, now) ?? []);
    if (times.length === 0) return;
    const at = Math.max(Math.min(...times), now + this.pauseMs);
    const isSet = this.wakeAt !== null && this.wakeAt <= at && this.wakeAt > now - LATE_MS;
    if (isSet) return;
    this.services.kept.remind(this.node, originatorOf(this.device), String(at), at);
    this.wakeAt = at;
    this.isChanged = true;
  }

  private dueOf(rule: Rule, now: number): number | null {
    try {
      const at = dueAt(rule.spec, this.count(rule), this.values);
      return at !== null && rule.isWatched ? Math.min(at, now + WATCH_MS) : at;
    } catch {
      // What it requires is no number; the next message says so by Failure.
      return null;
    }
  }
}

const named = <T>(type: string, values: readonly (readonly [string, T])[]): (readonly [string, T])[] =>
  values.map(([key, value]) => [`${type} ${key}`, value] as const);

function isTouched({ keys, hasTelemetry }: Rule, changed: ReadonlySet<string>, what: 'telemetry' | 'attributes'): boolean {
  if (what === 'attributes' && hasTelemetry) return false;
  for (const key of changed) if (keys.has(key)) return true;
  return false;
}

/** An alarm message of an error says what went wrong; one that passes is no matter of this message. @throws it, when it passes */
export function ruleError(deviceId: string, cause: unknown): Error {
  if (isPassing(cause)) throw cause;
  return new Error(`Failed to process alarm rule for Device [${deviceId}]: ${errorText(cause)}`, { cause });
}
