import type { ApiIngestion, ApiSource } from '@tocsin/core'
import { entry } from '../define-tool.ts'
import type { Untrusted } from '../present.ts'

/** A webhook address as results show it; `url` is masked where it is a secret. */
export const webhookEntry = entry('provider', 'url', 'status')

export const strangeOfWebhooks: Untrusted = { 'webhooks[].name': 100 }

const SECRET_PLACE = '{token}'

/** One source, or an address nobody has made a source for. */
export function showWebhook(ingestion: ApiIngestion, source: ApiSource, withSetup: boolean) {
  const enabled = source.enabled && ingestion.enabled
  const [rejected] = source.health.lastErrors
  return {
    provider: source.adapter,
    sourceId: source.id,
    name: source.name,
    url: source.url,
    enabled,
    status: enabled ? ('active' as const) : ('disabled' as const),
    credential: source.address === 'token' ? ('address' as const) : ('secret' as const),
    lastReceivedAt: source.health.lastRequestAt,
    lastRejected: rejected && `${rejected.at} ${rejected.code}: ${rejected.message}`,
    setupSteps: withSetup ? source.setup.map(({ step }) => step) : null,
    testCommand: withSetup
      ? `curl -X POST -H "Authorization: Bearer $TOCSIN_API_KEY" ${ingestion.publicUrl}/api/v1/projects/${ingestion.projectId}/sources/${source.id}/test`
      : null,
  }
}

export function showAddress({ adapter, address, url }: ApiIngestion['addresses'][number]) {
  return {
    provider: adapter,
    url: url.replace(SECRET_PLACE, '<token of the source>'),
    enabled: false,
    status: 'not_configured' as const,
    credential: address === 'token' ? ('address' as const) : ('secret' as const),
  }
}
