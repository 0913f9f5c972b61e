import type { ApiIngestion, ApiSource } from '@tocsin/core'
import { z } from 'zod'
import type { Untrusted } from '../present.ts'

const text = z.string().optional()

/** A webhook address as results show it. */
export const webhookFields = {
  provider: z.string(),
  sourceId: text,
  name: text,
  url: z.string().describe('The address to paste; masked where it is a secret'),
  enabled: z.boolean(),
  status: z.enum(['active', 'disabled', 'not_configured']),
  credential: z.enum(['secret', 'address']).describe('address: the URL itself is the secret'),
  lastReceivedAt: text,
  lastRejected: text,
  setupSteps: z.array(z.string()).optional(),
  testCommand: text,
}

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
