import { defineIntegration } from '#engine/integration.ts';
import { emptyReply, HTTP_METADATA, HttpConfig, refuseByHeaders, toUplink, withEndpoint } from '../shared/http.ts';
import { toReply } from './codec.ts';

export default defineIntegration({
  type: 'HTTP',
  version: 1,
  label: 'HTTP',
  summary: 'Takes POST, PUT and GET requests with any body; a waiting downlink is the answer to the device’s next request.',
  config: HttpConfig,
  metadata: HTTP_METADATA,
  downlink: 'pending',
  inbound: { refuse: refuseByHeaders, toUplink, wantsDownlink: () => true, toReply, emptyReply },
  complete: (config, info) => withEndpoint(config, 'http', info),
});
