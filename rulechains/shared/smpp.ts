import { NotConnected, Refused, Rejected, Timeout } from '#engine/errors.ts';
import { checkHost } from '#engine/outbound.ts';
import { encoder } from './charsets.ts';

/** SMS through an SMPP 3.3 or 3.4 gateway. The library codes the packets; this adds what it leaves out: types, deadlines, and what an answer means. */

export interface SmppSettings {
  readonly host: string;
  readonly port: number;
  readonly systemId: string;
  readonly password: string;
  readonly systemType: string;
  readonly protocolVersion: string;
  readonly bindType: string;
  readonly serviceType: string;
  readonly sourceAddress: string;
  readonly sourceTon: number;
  readonly sourceNpi: number;
  readonly destinationTon: number;
  readonly destinationNpi: number;
  readonly addressRange: string;
  readonly codingScheme: number;
}

interface Pdu {
  readonly command_status: number;
}
type Answered = (answer: Pdu) => void;
interface Session {
  on(event: 'error', listener: (cause: Error) => void): void;
  on(event: 'connect' | 'close', listener: () => void): void;
  on(event: 'enquire_link', listener: (request: { response(): object }) => void): void;
  bind_transmitter(fields: object, answered: Answered): boolean;
  bind_transceiver(fields: object, answered: Answered): boolean;
  submit_sm(fields: object, answered: Answered): boolean;
  unbind(answered: Answered): boolean;
  send(pdu: object): boolean;
  destroy(): void;
}
interface Library {
  connect(options: { host: string; port: number }): Session;
  readonly encodings: { readonly ASCII: { match(text: string): boolean } };
  readonly errors: Readonly<Record<string, number>>;
}

export interface Smpp {
  /** @throws Rejected when the gateway refuses the message, Timeout or NotConnected when it is away. */
  submit(number: string, text: string): Promise<void>;
  readonly isOpen: boolean;
  close(): void;
}

const ANSWER_MS = 10_000;
/** Longer texts go where there is room for them. */
const MOST_IN_SHORT_MESSAGE = 254;
/** The gateway is busy or has a fault of its own: message queue full, throttled, system error, temporary application error. */
const PASSING = new Set(['ESME_RMSGQFUL', 'ESME_RTHROTTLED', 'ESME_RSYSERR', 'ESME_RX_T_APPN', 'ESME_RINVBNDSTS']);
const UCS2 = 8;

export async function connectSmpp(settings: SmppSettings): Promise<Smpp> {
  await checkHost(settings.host);
  const peer = `smpp://${settings.host}:${settings.port}`;
  const { default: library } = (await import('smpp' as string)) as { default: Library };
  const session = library.connect({ host: settings.host, port: settings.port });
  let lost: Error | null = null;
  const waiting = new Set<(cause: Error) => void>();
  const lose = (cause: Error): void => {
    lost ??= cause;
    session.destroy();
    for (const reject of waiting) reject(lost);
  };
  session.on('error', (cause) => lose(new NotConnected(peer, cause)));
  session.on('close', () => lose(new NotConnected(peer)));
  session.on('enquire_link', (request) => void session.send(request.response()));

  /** One thing that is waited for, until it comes, the connection is lost, or the time is over. */
  async function answer<T>(what: string, ask: (resolve: (value: T) => void) => unknown): Promise<T> {
    if (lost) throw lost;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const timer = setTimeout(() => lose(new Timeout(`${peer} did not answer to ${what} within ${ANSWER_MS} ms`)), ANSWER_MS);
    waiting.add(reject);
    try {
      ask(resolve);
      return await promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(reject);
    }
  }
  const statusName = (status: number): string => Object.entries(library.errors).find(([, code]) => code === status)?.[0] ?? `status ${status}`;

  await answer<void>('connecting', (resolve) => session.on('connect', resolve));
  const login = {
    system_id: settings.systemId,
    password: settings.password,
    system_type: settings.systemType,
    interface_version: settings.protocolVersion === '3.3' ? 0x33 : 0x34,
    address_range: settings.addressRange,
  };
  const bound = await answer<Pdu>('bind', (resolve) =>
    settings.bindType === 'TRX' ? session.bind_transceiver(login, resolve) : session.bind_transmitter(login, resolve),
  );
  if (bound.command_status !== 0) {
    const refused = new Refused(`${peer} refused the login: ${statusName(bound.command_status)}`);
    lose(refused);
    throw refused;
  }
  return {
    async submit(number, text) {
      const [coding, content] = coded(text, settings.codingScheme, library.encodings.ASCII.match(text));
      const fits = content.length <= MOST_IN_SHORT_MESSAGE;
      const fields = {
        service_type: settings.serviceType,
        source_addr_ton: settings.sourceTon,
        source_addr_npi: settings.sourceNpi,
        source_addr: settings.sourceAddress,
        dest_addr_ton: settings.destinationTon,
        dest_addr_npi: settings.destinationNpi,
        destination_addr: number,
        data_coding: coding,
        ...(fits ? { short_message: content } : { short_message: '', message_payload: content }),
      };
      const { command_status: status } = await answer<Pdu>('submit_sm', (resolve) => session.submit_sm(fields, resolve));
      if (status === 0) return;
      const name = statusName(status);
      if (PASSING.has(name)) throw new Timeout(`${peer} asks to come later: ${name}`);
      throw new Rejected(`${peer} refused the message: ${name}`);
    },
    get isOpen() {
      return lost === null;
    },
    close() {
      if (!lost) session.unbind(() => session.destroy());
      // Whether it answers or not.
      setTimeout(() => session.destroy(), 1000).unref();
    },
  };
}

/** What the scheme can not write goes as UCS-2. Scheme 0 is the gateway's own: GSM 03.38, which the library writes. */
function coded(text: string, scheme: number, isGsm: boolean): [coding: number, content: string | Buffer] {
  const codes = [...text].map((char) => char.codePointAt(0)!);
  if (scheme === 1 && codes.every((code) => code < 0x80)) return [1, encoder('US-ASCII')(text)];
  if (scheme === 3 && codes.every((code) => code < 0x100)) return [3, encoder('ISO-8859-1')(text)];
  if (scheme !== UCS2 && isGsm) return [0, text];
  return [UCS2, encoder('UTF-16BE')(text)];
}
