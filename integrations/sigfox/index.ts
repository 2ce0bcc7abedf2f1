import { defineIntegration } from '#engine/integration.ts';
import { emptyReply, HTTP_METADATA, HttpConfig, refuseByHeaders, toUplink, withEndpoint } from '../shared/http.ts';
import { toReply, wantsDownlink } from './codec.ts';

export default defineIntegration({
  type: 'SIGFOX',
  version: 1,
  label: 'Sigfox',
  summary: 'Takes the callbacks of the Sigfox backend; a waiting downlink of 8 bytes is the answer to a callback that asks for one.',
  config: HttpConfig,
  metadata: HTTP_METADATA,
  downlink: 'pending',
  inbound: { refuse: refuseByHeaders, toUplink, wantsDownlink, toReply, emptyReply },
  complete: (config, info) => withEndpoint(config, 'sigfox', info),
});
