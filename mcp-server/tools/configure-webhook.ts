import { type ApiIngestion, type ApiReveal, type ApiSource, adapterSlugs, TocsinError } from '@tocsin/core'
import { z } from 'zod'
import { guessWords } from '../connection.ts'
import { defineTool, mayUse, project, type ToolContext, untrusted, word } from '../define-tool.ts'
import { allSources, findProject, findSource, noSource } from '../find.ts'
import { quoted, ToolError } from '../tool-error.ts'
import { pageOfWebhooks, showAddress, showWebhook, strangeOfWebhooks, webhookEntry } from './webhook.ts'

const ACTIONS = ['keep', 'generate', 'rotate', 'enter'] as const

const input = z.strictObject({
  source: word
    .optional()
    .describe(
      'Provider slug, source id or name. A new name with provider: one more. Absent: enabled of the project',
    ),
  provider: z.enum(adapterSlugs).optional().describe('The monitoring tool'),
  enabled: z.boolean().optional(),
  secretAction: z
    .enum(ACTIONS)
    .optional()
    .describe('Default keep. enter: the user types the one the tool issued'),
  graceMinutes: z.int().min(0).max(1440).optional().describe('How long a rotated one stays valid'),
  severityDefault: z.enum(['critical', 'high', 'medium', 'low', 'info']).optional(),
  dryRun: z.boolean().optional().describe('Only says what would change'),
  project,
})
type Input = z.output<typeof input>

export const configureWebhook = defineTool({
  name: 'configure_webhook',
  config: {
    title: 'Configure a webhook',
    description:
      'Create, enable, disable or change a webhook source, or rotate its secret. Ask the user first. Takes no secret and shows none: give the user revealCommand or enterCommand to run. Needs plan pro.',
    scopes: ['sources:read', 'sources:write'],
    input,
    output: z.object({
      projectId: z.string(),
      receiving: z.boolean(),
      created: z.boolean(),
      changed: z.array(z.string()).optional(),
      dryRun: z.boolean().optional(),
      webhooks: z.array(webhookEntry).optional(),
      nextCursor: z.string().optional().describe('Of get_webhook_url'),
      secret: z.string().optional(),
      secretState: z.enum(['unchanged', 'pending_reveal', 'shown', 'to_enter']),
      revealCommand: z.string().optional(),
      revealExpiresAt: z.string().optional(),
      enterCommand: z.string().optional(),
      oldSecretValidMinutes: z.number().optional(),
      untrusted,
    }),
    annotations: {
      readOnlyHint: false,
      // A rotation or a switch can cut a sender off.
      destructiveHint: true,
      idempotentHint: false,
      openWorldHint: false,
    },
  },

  async handler(input, context) {
    const projectId = await findProject(context, input.project)
    const [{ ingestion }, sources] = await Promise.all([
      context.tocsin.getIngestion(projectId),
      allSources(context, projectId),
    ])
    if (!ingestion.inPlan) {
      throw new ToolError(
        'plan_required',
        `The plan "${ingestion.plan}" of this project has no webhooks: configure_webhook needs pro or team. Tell the user; get_webhook_url still shows the addresses.`,
      )
    }
    if (input.source === undefined && input.provider === undefined) {
      return configureProject(context, projectId, ingestion.enabled, input)
    }

    const target = targetOf(input, sources)
    const change = target.source
      ? await changeSource(context, projectId, target.source, input)
      : await makeOrChangeSource(context, projectId, target, input)
    const after = input.dryRun ? ingestion : (await context.tocsin.getIngestion(projectId)).ingestion
    const address = ingestion.addresses.find(({ adapter }) => adapter === target.adapter)
    const webhook = change.source ? showWebhook(after, change.source, true) : showAddress(address!)
    const guess = context.isAddressGuessed ? guessWords(webhook.url) : null
    const headline = headlineOf(change, input, terminalOf(context, ingestion))
    return context.presenter.present(
      guess === null ? headline : `${headline} Tell the user of the address: ${guess}`,
      {
        projectId,
        receiving: after.enabled,
        created: change.created,
        changed: change.changed,
        dryRun: input.dryRun || null,
        webhooks: [{ ...webhook, hint: guess }],
        ...secretOf(change, input),
        oldSecretValidMinutes: change.oldSecretValidMinutes,
      },
      strangeOfWebhooks,
    )
  },
})

/** What was done, or on a dry run would be. */
interface Change {
  created: boolean
  changed: string[]
  /** Undefined on a dry run that would make one. */
  source: ApiSource | undefined
  secret?: string | undefined
  reveal?: ApiReveal | undefined
  oldSecretValidMinutes?: number | undefined
}

interface Target {
  source?: ApiSource
  adapter: string
  /** Of a source to be made; by default the name of the tool. */
  name?: string
}

function targetOf({ source: given, provider }: Input, sources: ApiSource[]): Target {
  if (given === undefined) {
    const source = findSource(sources, provider!)
    return source ? { source, adapter: source.adapter } : { adapter: provider! }
  }
  const source = findSource(sources, given)
  if (source && provider !== undefined && source.adapter !== provider) {
    throw new ToolError(
      'conflict',
      `Source ${quoted(given)} is of ${source.adapter}, not ${provider}. Leave provider out to change it, or give a new name as source to make another.`,
    )
  }
  if (source) return { source, adapter: source.adapter }
  const slug = given.toLowerCase()
  if (adapterSlugs.includes(slug)) return { adapter: slug }
  if (provider !== undefined) return { adapter: provider, name: given }
  throw noSource(
    sources,
    given,
    `To make one, call configure_webhook with source and provider: one of ${adapterSlugs.join(', ')}.`,
  )
}

/** Of several calls at the same moment one makes the source, the others find it. */
async function makeOrChangeSource(
  context: ToolContext,
  projectId: string,
  target: Target,
  input: Input,
): Promise<Change> {
  try {
    return await makeSource(context, projectId, target, input)
  } catch (error) {
    if (!(error instanceof TocsinError) || error.code !== 'conflict') throw error
    const { source } = targetOf(input, await allSources(context, projectId))
    if (!source) throw error
    return changeSource(context, projectId, source, input)
  }
}

async function makeSource(
  { tocsin, key }: ToolContext,
  projectId: string,
  { adapter, name }: Target,
  input: Input,
): Promise<Change> {
  const changed = ['source', 'secret', ...(input.severityDefault ? ['severityDefault'] : [])]
  if (input.enabled === false) changed.push('enabled')
  if (input.graceMinutes !== undefined) throw graceError()
  if (input.dryRun) return { created: true, changed, source: undefined }

  const made = await tocsin.createSource(projectId, {
    adapter,
    ...(name !== undefined && { name }),
    ...(input.severityDefault && { settings: { defaults: { severity: input.severityDefault } } }),
    reveal: !mayShow(key.scopes),
    unique: true,
  })
  const source =
    input.enabled === false
      ? (await tocsin.updateSource(projectId, made.source.id, { enabled: false })).source
      : made.source
  return { created: true, changed, source, secret: made.secret, reveal: made.reveal }
}

async function changeSource(
  { tocsin, key }: ToolContext,
  projectId: string,
  source: ApiSource,
  input: Input,
): Promise<Change> {
  const { enabled, severityDefault, secretAction = 'keep', graceMinutes, dryRun } = input
  const rotates = secretAction === 'rotate' || secretAction === 'generate'
  if (graceMinutes !== undefined && !rotates) throw graceError()
  const patch = {
    ...(enabled !== undefined && enabled !== source.enabled && { enabled }),
    ...(severityDefault !== undefined &&
      severityDefault !== source.settings.defaults.severity && {
        settings: { defaults: { severity: severityDefault } },
      }),
  }
  const changed = [
    ...('enabled' in patch ? ['enabled'] : []),
    ...('settings' in patch ? ['severityDefault'] : []),
    ...(rotates ? ['secret'] : []),
  ]
  const oldSecretValidMinutes = rotates
    ? (graceMinutes ?? (source.address === 'token' ? 0 : 1440))
    : undefined
  if (dryRun || changed.length === 0) return { created: false, changed, source, oldSecretValidMinutes }

  const patched =
    Object.keys(patch).length > 0 ? (await tocsin.updateSource(projectId, source.id, patch)).source : source
  if (!rotates) return { created: false, changed, source: patched }
  const rotated = await tocsin.rotateSource(projectId, source.id, {
    ...(graceMinutes !== undefined && { overlapMinutes: graceMinutes }),
    reveal: !mayShow(key.scopes),
  })
  return { created: false, changed, ...rotated, oldSecretValidMinutes }
}

function graceError(): ToolError {
  return new ToolError(
    'invalid_arguments',
    'graceMinutes goes with secretAction "rotate" of a source that exists. Call again without it.',
  )
}

/** Without a source: the switch of the whole project. */
async function configureProject(context: ToolContext, projectId: string, wasEnabled: boolean, input: Input) {
  if (
    input.enabled === undefined ||
    input.secretAction !== undefined ||
    input.graceMinutes !== undefined ||
    input.severityDefault !== undefined
  ) {
    throw new ToolError(
      'invalid_arguments',
      'source is missing: say which one. Only enabled works without it, for the whole project. get_webhook_url lists the sources.',
    )
  }
  // Asked here, too: what a dry run promises has to be allowed.
  if (!mayUse(context.key, 'admin')) {
    throw new TocsinError(
      'forbidden',
      'The key lacks the scope admin, which a switch of the whole project needs.',
    )
  }
  const isChange = input.enabled !== wasEnabled
  if (isChange && !input.dryRun) {
    await context.tocsin.updateProject(projectId, { ingestionEnabled: input.enabled })
  }
  const [{ ingestion }, sources] = await Promise.all([
    context.tocsin.getIngestion(projectId),
    allSources(context, projectId),
  ])
  const rows = sources.map((source) => showWebhook(ingestion, source, false))
  const { webhooks, nextCursor } = pageOfWebhooks(context, rows, { projectId, format: 'summary' })
  const rest = nextCursor === null ? '' : ' Not every source is shown: get_webhook_url(cursor: …) goes on.'
  return context.presenter.present(
    `${switched(isChange, input)} for the whole project.${rest}`,
    {
      projectId,
      receiving: ingestion.enabled,
      created: false,
      changed: isChange ? ['enabled'] : [],
      dryRun: input.dryRun || null,
      webhooks,
      nextCursor,
      secretState: 'unchanged',
    },
    strangeOfWebhooks,
  )
}

function switched(isChange: boolean, { enabled, dryRun }: Input): string {
  const state = enabled ? 'on' : 'off'
  if (!isChange) return `Nothing to change: receiving is ${state}`
  return `${dryRun ? 'Would switch' : 'Switched'} receiving ${state}`
}

/** Over MCP a key has to name the scope; `admin` does not imply it. */
function mayShow(scopes: readonly string[]): boolean {
  return scopes.includes('secrets:read')
}

function secretOf(change: Change, { secretAction, dryRun }: Input) {
  const { source, secret, reveal } = change
  if (source && secretAction === 'enter') {
    return { secretState: 'to_enter', enterCommand: `npm run secret -- set ${source.id}` }
  }
  if (dryRun || !change.changed.includes('secret')) return { secretState: 'unchanged' }
  if (reveal) {
    return {
      secretState: 'pending_reveal',
      revealCommand: `npm run secret -- reveal ${reveal.id}`,
      revealExpiresAt: reveal.expiresAt,
    }
  }
  // Where the address is the credential, `url` holds it.
  return { secretState: 'shown', secret }
}

/** Where else than on this machine's database the commands of a terminal work; nothing where they do without. */
function terminalOf({ serverUrl }: ToolContext, { publicUrl }: ApiIngestion): string {
  if (serverUrl === null) return ''
  return ` It needs TOCSIN_URL=${serverUrl ?? publicUrl} and TOCSIN_API_KEY in its environment.`
}

function headlineOf(
  { created, changed, reveal }: Change,
  { dryRun, secretAction }: Input,
  terminal: string,
): string {
  if (dryRun) return `Dry run, nothing changed. Would change: ${changed.join(', ') || 'nothing'}.`
  const done = created
    ? 'Created the source.'
    : changed.length > 0
      ? `Changed ${changed.join(', ')}.`
      : 'Nothing to change.'
  if (secretAction === 'enter')
    return `${done} Ask the user to run enterCommand and type the secret there, never here.${terminal}`
  return reveal
    ? `${done} Ask the user to run revealCommand within ten minutes: it shows the secret once.${terminal}`
    : done
}
