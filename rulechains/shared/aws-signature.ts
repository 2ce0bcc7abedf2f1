import { createHash, createHmac } from 'node:crypto';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly service: string;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Every segment once more, as all services but S3 want it. */
const canonicalPath = (path: string): string =>
  path
    .split('/')
    .map((segment) => encodeURIComponent(segment).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`))
    .join('/');

/**
 * `X-Amz-Date` and `Authorization` of a request without a query (AWS Signature Version 4). Signed are the host, the date and the body.
 * @param at Unix ms.
 */
export function awsHeaders(
  method: string,
  url: URL,
  body: string,
  { accessKeyId, secretAccessKey, region, service }: AwsCredentials,
  at: number,
): [string, string][] {
  const time = new Date(at).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`;
  const canonical = [method, canonicalPath(url.pathname), '', `host:${url.host}`, `x-amz-date:${time}`, '', 'host;x-amz-date', sha256(body)].join(
    '\n',
  );
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = [region, service, 'aws4_request'].reduce(hmac, hmac(`AWS4${secretAccessKey}`, time.slice(0, 8)));
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  return [
    ['X-Amz-Date', time],
    ['Authorization', `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=host;x-amz-date, Signature=${signature}`],
  ];
}
