import type { ApiIncidentQuery } from '@tocsin/core'
import { z } from 'zod'
import { bindCursor, readCursor } from '../cursor.ts'
import { cursor, defineTool, incidentId, project, type ToolContext, untrusted, word } from '../define-tool.ts'
import { allSources, findProject, findSource } from '../find.ts'
import { MOST_CHARACTERS } from '../present.ts'
import { quoted, ToolError } from '../tool-error.ts'
import { incidentEntry, showIncident, strangeOfIncident } from './incident.ts'

const STATUSES = {
  active: ['open', 'acknowledged'],
  open: ['open'],
  acknowledged: ['acknowledged'],
  resolved: ['resolved'],
  all: undefined,
} as const satisfies Record<string, ApiIncidentQuery['status'] | undefined>
type Status = keyof typeof STATUSES

const DEFAULT_LIMIT = 20
/** What is left for the entries when the rest of the result is written. */
const FOR_ENTRIES = MOST_CHARACTERS - 2_000
const STRANGE = strangeOfIncident('incidents[].')

const input = z.strictObject({
  status: z
    .enum(Object.keys(STATUSES) as [Status, ...Status[]])
    .optional()
    .describe('Default active: open and acknowledged'),
  severity: z
    .array(z.enum(['critical', 'high', 'medium', 'low', 'info']))
    .min(1)
    .optional(),
  source: word.optional().describe('Source id or name, or provider slug'),
  service: word
    .refine((value) => !value.includes(','), 'holds a comma, which no filter can: use query')
    .optional(),
  since: word.optional().describe('Opened since: ISO time, or an age such as 24h, 7d'),
  until: word.optional().describe('Opened until, as since'),
  query: word.optional().describe('Words of the title, or a reference'),
  ids: z
    .array(incidentId.meta({ description: undefined }))
    .min(1)
    .max(20)
    .optional()
    .describe('Incident ids or references; any status'),
  limit: z.int().min(1).max(100).optional().describe('Default 20'),
  cursor: cursor.optional().describe('nextCursor of the result before'),
  project,
})

export const listIncidents = defineTool({
  name: 'list_incidents',
  config: {
    title: 'List incidents',
    description:
      'Find incidents, newest first; gives the incidentId other tools need. Default: those open or acknowledged. Not for one incident in depth (get_incident).',
    scopes: ['incidents:read'],
    input,
    output: z.object({
      incidents: z.array(incidentEntry).optional(),
      returned: z.number(),
      total: z.number(),
      nextCursor: z.string().optional(),
      applied: z.looseObject({}),
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

  async handler({ limit = DEFAULT_LIMIT, cursor, ...asked }, context) {
    const projectId = await findProject(context, asked.project)
    const filters = await readFilters(asked, projectId, context)
    const bound = { asked, projectId }
    const query = {
      ...filters.query,
      ...(cursor !== undefined && { cursor: readCursor(cursor, bound) }),
    }

    let page = await context.tocsin.listIncidents(projectId, { ...query, limit })
    const fitting = context.presenter.countFitting(
      page.incidents.map(showIncident),
      'incidents',
      STRANGE,
      FOR_ENTRIES,
    )
    // Asked again, since only the store knows the place after the last one that fits.
    if (fitting < page.incidents.length) {
      page = await context.tocsin.listIncidents(projectId, { ...query, limit: fitting })
    }

    const { incidents, total, nextCursor } = page
    const headline =
      incidents.length === 0
        ? 'No incident matches.'
        : `${incidents.length} of ${total} matching incident${total === 1 ? '' : 's'}, newest first.`
    const result = {
      incidents: incidents.map(showIncident),
      returned: incidents.length,
      total,
      nextCursor: nextCursor === null ? null : bindCursor(nextCursor, bound),
      applied: filters.applied,
      hint: incidents.length === 0 ? await relaxing(filters, projectId, context) : null,
    }
    return context.presenter.present(headline, result, STRANGE)
  },
})

interface Filters {
  query: ApiIncidentQuery
  /** Each filter in force, as text. */
  applied: Record<string, string>
}

async function readFilters(
  asked: Omit<z.output<typeof input>, 'limit' | 'cursor'>,
  projectId: string,
  context: ToolContext,
): Promise<Filters> {
  // Who names incidents means them whatever their status.
  const status = asked.status ?? (asked.ids ? 'all' : 'active')
  const query: ApiIncidentQuery = {
    ...(STATUSES[status] && { status: [...STATUSES[status]] }),
    ...(asked.severity && { severity: asked.severity }),
    ...(asked.source !== undefined && { source: [await sourceOf(asked.source, projectId, context)] }),
    ...(asked.service !== undefined && { service: [asked.service] }),
    ...(asked.since !== undefined && { since: readTime('since', asked.since, context.now()) }),
    ...(asked.until !== undefined && { until: readTime('until', asked.until, context.now()) }),
    ...(asked.query !== undefined && { q: asked.query }),
    ...(asked.ids && { ids: asked.ids }),
  }
  const applied = Object.fromEntries(
    Object.entries({ ...query, status: [status] }).map(([name, value]) => [
      name === 'q' ? 'query' : name,
      Array.isArray(value) ? value.join(',') : String(value),
    ]),
  )
  return { query, applied }
}

/** A source by its name; other words go to the store as they are: ids and slugs. */
async function sourceOf(given: string, projectId: string, context: ToolContext): Promise<string> {
  const { scopes } = context.key
  if (!scopes.includes('sources:read') && !scopes.includes('admin')) return given
  const sources = await allSources(context, projectId)
  if (sources.some(({ adapter }) => adapter === given)) return given
  return findSource(sources, given)?.id ?? given
}

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

function readTime(name: string, text: string, now: Date): string {
  const age = /^(\d{1,5})\s?([mhdw])$/i.exec(text.trim())
  if (age) return new Date(now.getTime() - Number(age[1]) * UNITS[age[2]!.toLowerCase()]!).toISOString()
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text)
  const time = isTime ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return new Date(time).toISOString()
  throw new ToolError(
    'invalid_arguments',
    `${name} is ${quoted(text)}: give an ISO time such as 2026-11-21T08:00:00Z or an age such as 30m, 24h, 7d. Call list_incidents again.`,
  )
}

/** Which filter to give up, and how many match without it. */
async function relaxing({ query }: Filters, projectId: string, { tocsin }: ToolContext): Promise<string> {
  const names = Object.keys(query) as (keyof ApiIncidentQuery)[]
  const without = await Promise.all(
    names.map(async (name) => {
      const { [name]: _, ...rest } = query
      const { total } = await tocsin.listIncidents(projectId, { ...rest, limit: 1 })
      return `without ${name === 'q' ? 'query' : name}: ${total}`
    }),
  )
  return without.length === 0
    ? 'The project has no incident yet; get_webhook_url tells how to send one.'
    : `Matching ${without.join(', ')}.${names.includes('status') ? ' status "all" includes resolved ones.' : ''}`
}
