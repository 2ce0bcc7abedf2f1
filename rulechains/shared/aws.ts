import { chainOf, isNetworkFault } from './broker.ts';

/** What the nodes of AWS have in common. `AWS_ENDPOINT_URL` (and `AWS_ENDPOINT_URL_SQS`, …) of the environment point them to another server; the SDK reads it. */

export interface AwsSettings {
  readonly accessKey: string | null;
  readonly secretKey: string | null;
  readonly region: string | null;
}

/** @throws Error when one is missing: the node does not start. */
export function awsOptions({ accessKey, secretKey, region }: AwsSettings) {
  if (!accessKey) throw new Error('Access key cannot be null.');
  if (!secretKey) throw new Error('Secret key cannot be null.');
  if (!region?.trim()) throw new Error('Region must be set!');
  return {
    region: region.trim(),
    credentials: { accessKeyId: accessKey.trim(), secretAccessKey: secretKey.trim() },
    // The outbox tries again, with longer pauses.
    maxAttempts: 2,
  };
}

interface Fault {
  readonly name: string;
  readonly $fault?: string;
  readonly $retryable?: object;
  readonly $metadata?: { readonly httpStatusCode?: number };
}

/** Not there, overloaded, or our keys are refused: nothing is wrong with the message. */
export function isAwsAway(cause: unknown): boolean {
  if (isNetworkFault(cause)) return true;
  return ([...chainOf(cause)] as Fault[]).some(({ name, $fault, $retryable, $metadata }) => {
    const status = $metadata?.httpStatusCode ?? 0;
    return $retryable !== undefined || $fault === 'server' || status >= 500 || status === 429 || name === 'TimeoutError' || KEYS_REFUSED.has(name);
  });
}
const KEYS_REFUSED = new Set(
  ['InvalidClientTokenId', 'UnrecognizedClientException', 'SignatureDoesNotMatch', 'InvalidSignatureException', 'ExpiredToken'].concat([
    'ExpiredTokenException',
    'AccessDenied',
    'AccessDeniedException',
    'AuthorizationErrorException',
    'InvalidAccessKeyId',
    'RequestExpired',
  ]),
);
