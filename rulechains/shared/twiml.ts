/** What Twilio is told to say: TwiML of "Programmable Voice", with SSML where the voice takes it. */

export interface Voice {
  readonly provider: string | null;
  readonly language: string | null;
  readonly voice: string | null;
  /** %, 100 as it is. */
  readonly pitch: number;
  /** %, 100 as it is. */
  readonly rate: number;
  /** dB, 0 as it is. */
  readonly volume: number;
  readonly startPause: number;
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
/** Also without the characters that XML can not hold at all. */
const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (each) => ENTITIES[each]!).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '');

const signed = (value: number): string => (value < 0 ? String(value) : `+${value}`);

export function sayText(text: string, { provider, language, voice, pitch, rate, volume, startPause }: Voice): string {
  const prefix = /polly/i.test(provider ?? '') ? 'Polly.' : /google/i.test(provider ?? '') ? 'Google.' : '';
  const named = voice && prefix && !voice.startsWith(prefix) ? prefix + voice : voice;
  const attributes = [
    ['voice', named],
    ['language', language],
  ].map(([name, value]) => (value ? ` ${name}="${escaped(value)}"` : ''));
  // The basic voices of Twilio know no SSML and would read it aloud.
  const isPlain = prefix === '' || (pitch === 100 && rate === 100 && volume === 0);
  const spoken = isPlain
    ? escaped(text)
    : `<prosody pitch="${signed(pitch - 100)}%" rate="${rate}%" volume="${signed(volume)}dB">${escaped(text)}</prosody>`;
  const pause = startPause > 0 ? `<Pause length="${startPause}"/>` : '';
  return `<?xml version="1.0" encoding="UTF-8"?><Response>${pause}<Say${attributes.join('')}>${spoken}</Say></Response>`;
}
