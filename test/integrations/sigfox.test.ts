import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rejected } from '#engine/errors.ts';
import type { RawDownlink } from '#engine/integration.ts';
import sigfox from '#integrations/sigfox/index.ts';
import { configured, inboundContract, request } from '#test/contract/integration.ts';

const inbound = sigfox.inbound!;
const config = configured(sigfox, {}) as never;
const callback = (fields: Record<string, unknown> = {}) =>
  request({ body: Buffer.from(JSON.stringify({ device: '1B2C3D', data: '00e7', ...fields })) });
const downlink = (text: string, fields: Partial<RawDownlink> = {}): RawDownlink => ({
  contentType: 'TEXT',
  data: Buffer.from(text),
  metadata: {},
  ...fields,
});

inboundContract(sigfox, {});

for (const { name, of, wants } of [
  { name: 'ack is true', of: callback({ ack: true }), wants: true },
  { name: 'ack is "true"', of: callback({ ack: 'true' }), wants: true },
  { name: 'ack is "True"', of: callback({ ack: 'True' }), wants: true },
  { name: 'ack is false', of: callback({ ack: false }), wants: false },
  { name: 'ack is "false"', of: callback({ ack: 'false' }), wants: false },
  { name: 'ack is null', of: callback({ ack: null }), wants: false },
  { name: 'the template has no ack', of: callback(), wants: true },
  { name: 'the body is no JSON', of: request({ body: Buffer.from('1B2C3D;00e7') }), wants: true },
]) {
  test(`sigfox: ${name}: ${wants ? 'an answer' : 'no answer'}`, () => assert.equal(inbound.wantsDownlink(of, config), wants));
}

for (const { name, sent, of = callback(), body } of [
  { name: '16 hex digits', sent: downlink('01f4003c00000000'), body: '{"1B2C3D":{"downlinkData":"01f4003c00000000"}}' },
  { name: 'blanks between them', sent: downlink('01 f4 00 3c 00 00 00 00\n'), body: '{"1B2C3D":{"downlinkData":"01f4003c00000000"}}' },
  {
    name: '8 bytes as BINARY',
    sent: downlink('', { contentType: 'BINARY', data: Buffer.from('01f4003c00000000', 'hex') }),
    body: '{"1B2C3D":{"downlinkData":"01f4003c00000000"}}',
  },
  {
    name: 'the id as received, whatever case the converter gives',
    sent: downlink('01f4003c00000000', { metadata: { device: '1b2c3d' } }),
    body: '{"1B2C3D":{"downlinkData":"01f4003c00000000"}}',
  },
  {
    name: 'the id of the converter when the body has none',
    sent: downlink('01f4003c00000000', { metadata: { device: 'ABC' } }),
    of: request({ body: Buffer.from('text') }),
    body: '{"ABC":{"downlinkData":"01f4003c00000000"}}',
  },
]) {
  test(`sigfox: ${name}`, () => {
    assert.deepEqual(inbound.toReply(sent, of, config), { status: 200, headers: { 'content-type': 'application/json' }, body });
  });
}

for (const { name, sent, of = callback() } of [
  { name: '14 digits', sent: downlink('01f4003c000000') },
  { name: '18 digits', sent: downlink('01f4003c0000000000') },
  { name: 'no hex', sent: downlink('01f4003c0000000g') },
  { name: '7 bytes as BINARY', sent: downlink('', { contentType: 'BINARY', data: Buffer.alloc(7) }) },
  { name: 'another device', sent: downlink('01f4003c00000000', { metadata: { device: 'FFFF' } }) },
  { name: 'no device anywhere', sent: downlink('01f4003c00000000'), of: request({ body: Buffer.from('text') }) },
]) {
  test(`sigfox: refused, ${name}`, () => assert.throws(() => inbound.toReply(sent, of, config), Rejected));
}
