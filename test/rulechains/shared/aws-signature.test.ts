import assert from 'node:assert/strict';
import test from 'node:test';
import { awsHeaders } from '#rulechains/shared/aws-signature.ts';

/** "get-vanilla" of the test suite that AWS published for Signature Version 4. */
test('the signature of AWS’s own example', () => {
  const credentials = {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    region: 'us-east-1',
    service: 'service',
  };
  assert.deepEqual(awsHeaders('GET', new URL('https://example.amazonaws.com/'), '', credentials, Date.UTC(2015, 7, 30, 12, 36)), [
    ['X-Amz-Date', '20150830T123600Z'],
    [
      'Authorization',
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, ' +
        'Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    ],
  ]);
});
