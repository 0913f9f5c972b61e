import type { ApiIngestion, ApiSource } from '@tocsin/core'
import { bindCursor, readCursor } from '../cursor.ts'
import { entry, type ToolContext } from '../define-tool.ts'
import { MOST_CHARACTERS, type Untrusted } from '../present.ts'
import { ToolError } from '../tool-error.ts'

/** A webhook address as results show it; `url` is masked where it is a secret. */
export const webhookEntry = entry('provider', 'url', 'status')

export const strangeOfWebhooks: Untrusted = { 'webhooks[].name': 100 }

const SECRET_PLACE = '{token}'

/** What is left for the entries when the rest of the result is written. */
const FOR_ENTRIES = MOST_CHARACTERS - 2_000

interface Row {
  provider: string
  sourceId?: string
  url: string
}

/**
 * As many of these as fit, from a cursor of `get_webhook_url` on, and the cursor of the rest. `format` is the argument
 * that call had or will have.
 */
export function pageOfWebhooks<R extends Row>(
  { presenter }: ToolContext,
  rows: readonly R[],
  { projectId, format, cursor }: { projectId: string; format: string; cursor?: string | undefined },
): { webhooks: R[]; nextCursor: string | null } {
  const bound = [projectId, format]
  const place = ({ sourceId, provider }: Row) => sourceId ?? provider
  let rest = [...rows]
  if (cursor !== undefined) {
    const last = readCursor(cursor, bound)
    const index = rows.findIndex((row) => place(row) === last)
    if (index < 0) {
      throw new ToolError(
        'invalid_cursor',
        'cursor: the source it stood at has changed. Call get_webhook_url again without cursor.',
      )
    }
    rest = rest.slice(index + 1)
  }
  const webhooks = rest.slice(0, presenter.countFitting(rest, 'webhooks', strangeOfWebhooks, FOR_ENTRIES))
  const nextCursor = webhooks.length < rest.length ? bindCursor(place(webhooks.at(-1)!), bound) : null
  return { webhooks, nextCursor }
}

/** One source, or an address nobody has made a source for. */
export function showWebhook(ingestion: ApiIngestion, source: ApiSource, withSetup: boolean) {
  const enabled = source.enabled && ingestion.enabled
  const { lastErrors, strangers } = source.health
  const rejected = lastErrors[0] ?? (strangers.last[0] && { ...strangers.last[0], code: 'unauthorized' })
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
