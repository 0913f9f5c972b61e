import type { ApiIngestion } from '@tocsin/core'
import { z } from 'zod'
import { guessWords } from '../connection.ts'
import { cursor, defineTool, mayUse, project, type ToolContext, untrusted, word } from '../define-tool.ts'
import { allSources, findProject, findSource, noSource } from '../find.ts'
import { MASKED } from '../mask-secrets.ts'
import { ToolError } from '../tool-error.ts'
import { pageOfWebhooks, showAddress, showWebhook, strangeOfWebhooks, webhookEntry } from './webhook.ts'

export const getWebhookUrl = defineTool({
  name: 'get_webhook_url',
  config: {
    title: 'Get webhook addresses',
    description:
      'Get the webhook address to paste into a monitoring tool, whether it is enabled, what it last received or refused. Without source: every address.',
    scopes: ['sources:read'],
    input: z.strictObject({
      source: word.optional().describe('Provider slug such as grafana, or source id or name'),
      format: z.enum(['summary', 'setup']).optional().describe('setup adds what to click in that tool'),
      cursor: cursor.optional().describe('nextCursor of the result before'),
      project,
    }),
    output: z.object({
      projectId: z.string(),
      receiving: z.boolean(),
      webhooks: z.array(webhookEntry).optional(),
      nextCursor: z.string().optional(),
      hint: z.string().optional(),
      untrusted,
    }),
    annotations: {
      readOnlyHint: true,
      destructiveHint: false,
      idempotentHint: true,
      openWorldHint: false,
    },
  },

  async handler({ source: given, format = 'summary', cursor, project }, context) {
    const projectId = await findProject(context, project)
    const [{ ingestion }, sources] = await Promise.all([
      context.tocsin.getIngestion(projectId),
      allSources(context, projectId),
    ])
    const next: NextStep = (how, who = ASK) =>
      ingestion.inPlan ? ` ${context.offers('configure_webhook') ? how : who}` : ''
    const withSetup = format === 'setup'
    const present = (headline: string, webhooks: { url: string }[], nextCursor: string | null = null) =>
      context.presenter.present(
        headline,
        {
          projectId,
          receiving: ingestion.enabled,
          webhooks,
          nextCursor,
          hint: hintOf(ingestion, webhooks, context, next),
        },
        strangeOfWebhooks,
      )

    if (cursor !== undefined && given !== undefined) {
      throw new ToolError(
        'invalid_arguments',
        'cursor goes without source: one source is never cut. Call get_webhook_url again with one of them.',
      )
    }
    if (given === undefined) {
      const configured = new Set(sources.map(({ adapter }) => adapter))
      const free = ingestion.addresses.filter(({ adapter }) => !configured.has(adapter))
      const rows = [
        ...sources.map((source) => showWebhook(ingestion, source, withSetup)),
        ...free.map(showAddress),
      ]
      const { webhooks, nextCursor } = pageOfWebhooks(context, rows, { projectId, format, cursor })
      const shown =
        webhooks.length < rows.length ? ` ${webhooks.length} of ${rows.length} addresses are shown.` : ''
      return present(
        `${sources.length} sources are configured; the other addresses have none yet.${shown}`,
        webhooks,
        nextCursor,
      )
    }

    const source = findSource(sources, given)
    if (source) return present('The address to paste:', [showWebhook(ingestion, source, withSetup)])
    const address = ingestion.addresses.find(({ adapter }) => adapter === given.toLowerCase())
    if (!address) {
      const slugs = ingestion.addresses.map(({ adapter }) => adapter).join(', ')
      throw noSource(
        sources,
        given,
        `Providers are ${slugs}.${next('Create a source with configure_webhook(source: …).')}`,
      )
    }
    return present(
      `No source for ${address.adapter} yet.${next(`Create it with configure_webhook(source: "${address.adapter}"), then its requests are accepted.`)}`,
      [showAddress(address)],
    )
  },
})

const ASK = 'Ask the user: a person can, over the API with a key of scope sources:write.'
const ASK_ADMIN = 'Ask the user: a person can, over the API with a key of scope admin.'

/** How it is done with configure_webhook, or by whom where that is not offered; nothing where the plan forbids it. */
type NextStep = (how: string, who?: string) => string

/** What stands in the way of sending there. */
function hintOf(
  ingestion: ApiIngestion,
  webhooks: { url: string }[],
  { key, isAddressGuessed }: ToolContext,
  next: NextStep,
): string | null {
  const hints: string[] = []
  if (!ingestion.inPlan) hints.push(`The plan "${ingestion.plan}" has no webhooks; they need pro or team.`)
  else if (!ingestion.enabled) {
    const how = mayUse(key, 'admin') ? 'configure_webhook(enabled: true) switches it on.' : ASK_ADMIN
    hints.push(`Receiving is switched off for the project.${next(how, ASK_ADMIN)}`)
  }
  if (webhooks.some(({ url }) => url.endsWith(MASKED))) {
    const how =
      'configure_webhook with secretAction "rotate" makes a new one for the user to reveal, and ends the old one.'
    hints.push(`A masked address is itself the secret.${next(how)}`)
  }
  if (isAddressGuessed) hints.push(`Tell the user of each address: ${guessWords(ingestion.publicUrl)}`)
  return hints.join(' ') || null
}
