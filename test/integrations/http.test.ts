import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rejected } from '#engine/errors.ts';
import type { RawDownlink } from '#engine/integration.ts';
import http from '#integrations/http/index.ts';
import { configured, INFO, inboundContract, refusedConfig, request } from '#test/contract/integration.ts';

const inbound = http.inbound!;
const config = (fields: Record<string, unknown> = {}) => configured(http, fields) as never;
const downlink = (fields: Partial<RawDownlink> = {}): RawDownlink => ({ contentType: 'JSON', data: Buffer.from('{}'), metadata: {}, ...fields });

inboundContract(http, {});

for (const { name, security = true, headers, status } of [
  { name: 'every header is right', headers: { 'x-plant-key': '7h3k', 'x-line': '4' }, status: null },
  { name: 'one is missing', headers: { 'x-plant-key': '7h3k' }, status: 403 },
  { name: 'a value differs in case', headers: { 'x-plant-key': '7H3K', 'x-line': '4' }, status: 403 },
  { name: 'security is off', security: false, headers: {}, status: null },
]) {
  test(`http: headers, ${name}`, () => {
    const filter = { enableSecurity: security, headersFilter: { 'X-Plant-Key': '7h3k', 'X-Line': '4' } };
    assert.equal(inbound.refuse(request({ headers: headers as never }), config(filter))?.status ?? null, status);
  });
}

for (const [header, label] of [
  ['application/json', 'JSON'],
  ['application/vnd.api+json; charset=utf-8', 'JSON'],
  ['text/csv', 'TEXT'],
  ['application/x-www-form-urlencoded', 'TEXT'],
  ['application/octet-stream', 'BINARY'],
  [undefined, 'BINARY'],
] as const) {
  test(`http: ${header} is labelled ${label}`, () => {
    assert.equal(inbound.toUplink(request({ headers: header ? { 'content-type': header } : {} }), config()).contentType, label);
  });
}

test('http: headers become metadata; those with secrets are named as such', () => {
  const uplink = inbound.toUplink(
    request({ headers: { 'content-type': 'text/plain', authorization: 'Basic x', 'x-plant-key': '7h3k' } }),
    config({ enableSecurity: true, headersFilter: { 'X-Plant-Key': '7h3k' } }),
  );
  assert.deepEqual(uplink.metadata, { 'Header:content-type': 'text/plain', 'Header:authorization': 'Basic x', 'Header:x-plant-key': '7h3k' });
  assert.deepEqual(uplink.hiddenMetadata, ['Header:authorization', 'Header:x-plant-key']);
});

for (const { name, sent, reply } of [
  {
    name: 'JSON',
    sent: downlink({ data: Buffer.from('{"a":1}') }),
    reply: { status: 200, headers: { 'content-type': 'application/json' }, body: '{"a":1}' },
  },
  {
    name: 'TEXT with headers of the converter',
    sent: downlink({ contentType: 'TEXT', data: Buffer.from('go'), metadata: { 'X-Period': '600', 'Content-Length': '1' } }),
    reply: { status: 200, headers: { 'content-type': 'text/plain', 'x-period': '600' }, body: 'go' },
  },
  {
    name: 'BINARY of another content type',
    sent: downlink({ contentType: 'BINARY', data: Buffer.from('\u0001'), metadata: { 'content-type': 'application/cbor' } }),
    reply: { status: 200, headers: { 'content-type': 'application/cbor' }, body: '\u0001' },
  },
]) {
  test(`http: a downlink as the answer, ${name}`, () => {
    const { body, ...rest } = inbound.toReply(sent, request(), config());
    assert.deepEqual({ ...rest, body: Buffer.from(body as Uint8Array).toString() }, reply);
  });
}

test('http: metadata that can not be a header is refused', () => {
  for (const metadata of [{ 'a b': '1' }, { a: 'x\r\nSet-Cookie: y' }]) {
    assert.throws(() => inbound.toReply(downlink({ metadata: metadata as never }), request(), config()), Rejected);
  }
});

test('http: the answer without a downlink', () => {
  assert.deepEqual([inbound.emptyReply(config()), inbound.emptyReply(config({ replaceNoContentToOk: true }))], [{ status: 204 }, { status: 200 }]);
});

test('http: the endpoint that the form shows', () => {
  const { httpEndpoint } = http.complete!({ baseUrl: 'https://iot.example.org/' }, { ...INFO, isNew: true });
  assert.equal(httpEndpoint, `https://iot.example.org/api/v1/integrations/http/${INFO.routingKey}`);
});

test('http: header values are texts', () => assert.deepEqual(refusedConfig(http, { headersFilter: { a: 1 } }).length > 0, true));
