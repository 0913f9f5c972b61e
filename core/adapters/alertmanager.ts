import type { Adapter } from './adapter.ts'
import { alertGroupBody, parseAlertGroup } from './alert-group.ts'
import { hasBasic, hasBearer, hasSecretHeader } from './signatures.ts'

/** Prometheus Alertmanager. It signs nothing, so the credential is one its `http_config` can send. */
export const alertmanager: Adapter = {
  slug: 'alertmanager',
  name: 'Prometheus Alertmanager',
  defaults: { address: 'project', grouping: 'project', reopenWindowMinutes: 5 },
  repeats: true,
  marks: ['alerts'],

  credentialHeaders: () => ['authorization', 'x-webhook-secret'],

  verify: (request, secret) =>
    hasBearer(request, secret) || hasBasic(request, secret) || hasSecretHeader(request, secret),

  parse: (body, _request, settings) => parseAlertGroup(body, settings, { fromGrafana: false }),

  testRequest: (kind, { id, at, secret }) => ({
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    body: alertGroupBody(kind, { id, at }, { group: { version: '4' } }),
  }),

  says: {
    credential: 'bearer, basic, `X-Webhook-Secret`',
    opens: 'alert firing',
    acknowledges: null,
    resolves: 'alert resolved',
    identity:
      'An alert is its labels (`fingerprint`), an outage its `startsAt`. Labels that change, such as a value, make another alert.',
    retries:
      'Network errors and 5xx until the next group interval; an alert that still fires is sent again after it anyway.',
  },

  setup: [
    'Open alertmanager.yml and add a receiver with a `webhook_configs` entry.',
    'Set its `url` to {url} and leave `send_resolved` at true.',
    'Under its `http_config`, set `authorization` with `credentials` to the secret of this source.',
    'Name the receiver in your `route` and reload Alertmanager.',
  ],
}
