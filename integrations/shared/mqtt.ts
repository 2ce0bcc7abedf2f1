import type { IPublishPacket, MqttClient } from 'mqtt';
import { NotConnected, Timeout } from '#engine/errors.ts';

/**
 * Acknowledging after the commit (design §3, MQTT 3.1.1 §4.3.2 and §4.6): PUBACK and PUBREC leave when `accept` resolved, in arrival order, as one write for all
 * that became durable together. `mqtt` itself would acknowledge at once, or stop its parser until the answer; so each publish is shown to it as QoS 0
 * (`packetreceive` comes before it handles the packet) and the acknowledgements are written here.
 */
export interface Acknowledging {
  /** Reads nothing more; resolves when what was accepted is acknowledged. */
  drained(): Promise<void>;
}

export interface AcknowledgeOptions {
  /** The rest waits in the socket, so that the broker feels our speed. */
  readonly maxInFlight?: number;
}

interface Pending {
  readonly header: number;
  readonly id: number;
  durable: boolean;
}

const PUBACK = 0x40;
const PUBREC = 0x50;

/**
 * Attach before connecting: a persistent session's messages come right behind the CONNACK. A rejection of `accept` means "not stored": the socket is closed,
 * nothing behind the failed one is acknowledged, and the broker sends again on the next connect. @param lost told why, before the socket closes.
 */
export function acknowledgeAfter(
  client: MqttClient,
  accept: (packet: IPublishPacket) => Promise<unknown>,
  lost: (cause: unknown) => void,
  { maxInFlight = MAX_IN_FLIGHT }: AcknowledgeOptions = {},
): Acknowledging {
  /** QoS 1 and 2 in arrival order; those before `head` are acknowledged. */
  let pending: Pending[] = [];
  let head = 0;
  let inFlight = 0;
  let flushing = false;
  let hungUp = false;
  let draining: (() => void) | null = null;
  /** `mqtt` goes on parsing when this is called. */
  let resume: (() => void) | null = null;
  /** QoS 2 ids whose PUBREC is on its way or out: their repetition before the PUBREL is the same message. */
  const recorded = new Set<number>();

  function flush(): void {
    flushing = false;
    if (hungUp) return;
    let end = head;
    while (end < pending.length && pending[end]!.durable) end++;
    if (end > head) {
      const bytes = Buffer.allocUnsafe((end - head) * 4);
      let at = 0;
      for (; head < end; head++) {
        const { header, id } = pending[head]!;
        // Fixed header, length 2, packet id: the short form that 3.1, 3.1.1 and 5 share.
        bytes[at++] = header;
        bytes[at++] = 2;
        bytes[at++] = id >> 8;
        bytes[at++] = id & 0xff;
      }
      client.stream.write(bytes);
      if (head === pending.length) pending = [];
      else if (head > 1024) pending = pending.slice(head);
      else return;
      head = 0;
    }
  }

  function settled(): void {
    inFlight--;
    // Behind the promise reactions of the same commit: one write for all of them.
    if (!flushing) {
      flushing = true;
      process.nextTick(flush);
    }
    if (draining) {
      if (inFlight === 0) process.nextTick(draining);
    } else if (resume && inFlight <= maxInFlight / 2) {
      const go = resume;
      resume = null;
      client.reschedulePing(true); // the broker's PINGRESP may have waited in the socket behind our own pause
      go();
    }
  }

  function hangUp(cause: unknown): void {
    inFlight--;
    if (draining && inFlight === 0) draining();
    if (hungUp) return;
    hungUp = true;
    lost(cause);
    client.stream.destroy();
  }

  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'pubrel') recorded.delete(packet.messageId!);
    // A publish without a topic uses an alias, which we did not allow: `mqtt` closes the connection.
    if (packet.cmd !== 'publish' || hungUp || packet.topic.length === 0) return;
    const { qos, messageId } = packet;
    packet.qos = 0;
    if (qos === 0) {
      inFlight++;
      accept(packet).then(settled, hangUp);
      return;
    }
    const entry: Pending = { header: qos === 1 ? PUBACK : PUBREC, id: messageId!, durable: false };
    pending.push(entry);
    inFlight++;
    if (qos === 2 && recorded.has(messageId!)) {
      entry.durable = true;
      settled();
      return;
    }
    if (qos === 2) recorded.add(messageId!);
    accept(packet).then(() => {
      entry.durable = true;
      settled();
    }, hangUp);
  });
  client.handleMessage = (_packet, done) => {
    if (inFlight < maxInFlight && !draining) done();
    else resume = done;
  };
  client.on('close', () => {
    hungUp = true;
  });

  return {
    drained: () =>
      new Promise((resolve) => {
        draining = resolve;
        // Behind a flush that is due: the acknowledgements go before the DISCONNECT.
        if (inFlight === 0) process.nextTick(resolve);
      }),
  };
}

/** QoS 1 and 2 messages that a broker may have on the way to us (MQTT 5: Receive Maximum); a batch of the accept stage is a small part of it. */
export const MAX_IN_FLIGHT = 2000;

/** Resolves at CONNACK. @throws what the client says, NotConnected when the socket closes first, Timeout on `signal`. */
export function connected(client: MqttClient, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      client.off('connect', onConnect);
      client.off('error', onError);
      client.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onConnect = () => end(resolve);
    const onError = (cause: Error) => end(() => reject(cause));
    const onClose = () => end(() => reject(new NotConnected('the broker', new Error('connection closed'))));
    const onAbort = () => end(() => reject(signal.reason instanceof Error ? signal.reason : new Timeout('Stopped while connecting')));
    client.on('connect', onConnect);
    client.on('error', onError);
    client.on('close', onClose);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}
