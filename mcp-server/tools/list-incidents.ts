import { type ApiIncidentQuery, adapterSlugs } from '@tocsin/core'
import { z } from 'zod'
import { bindCursor, readCursor } from '../cursor.ts'
import {
  cursor,
  defineTool,
  incidentId,
  mayUse,
  project,
  type ToolContext,
  untrusted,
  word,
} from '../define-tool.ts'
import { allSources, findProject, findSource, noSource } from '../find.ts'
import { MOST_CHARACTERS } from '../present.ts'
import { closest, quoted, ToolError } from '../tool-error.ts'
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
const MOST_IDS = 20
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
    .max(MOST_IDS)
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
    const hints = [
      await missingIds(asked.ids, projectId, context),
      incidents.length === 0 ? await relaxing(filters, projectId, context) : null,
    ].filter((hint) => hint !== null)
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
      hint: hints.length > 0 ? hints.join(' ') : null,
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

/** A source by its name, as an id; slugs stay. Throws where there is none, as far as the key may know. */
async function sourceOf(given: string, projectId: string, context: ToolContext): Promise<string> {
  const slug = given.toLowerCase()
  if (adapterSlugs.includes(slug)) return slug
  if (!mayUse(context.key, 'sources:read')) {
    if (UUID.test(given)) return given
    throw new ToolError(
      'invalid_arguments',
      `source is ${quoted(given)}: this key cannot look names up. Give a source id or one of ${adapterSlugs.join(', ')}.`,
    )
  }
  const sources = await allSources(context, projectId)
  const source = findSource(sources, given)
  if (source) return source.id
  throw noSource(sources, given, 'Call list_incidents again with one of these, or without source.')
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Says which of the ids asked for are nowhere in the project. */
async function missingIds(
  ids: readonly string[] | undefined,
  projectId: string,
  { tocsin }: ToolContext,
): Promise<string | null> {
  if (ids === undefined) return null
  const { incidents } = await tocsin.listIncidents(projectId, { ids: [...ids], limit: MOST_IDS })
  // INC-042, inc-42: one incident.
  const plain = (one: string) => /^inc-0*(\d+)$/i.exec(one)?.[1] ?? one
  const known = new Set(incidents.flatMap(({ id, reference }) => [id, plain(reference)]))
  const missing = ids.filter((one) => !known.has(plain(one)))
  if (missing.length === 0) return null
  const newest = (await tocsin.listIncidents(projectId, { limit: 50 })).incidents.map((one) => one.reference)
  const near = [...new Set(missing.flatMap((one) => closest(one, newest)))].slice(0, 5)
  return `No incident ${missing.map(quoted).join(', ')}.${near.length > 0 ? ` Closest: ${near.join(', ')}.` : ''} Call list_incidents(status: "all") to find them.`
}

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

function readTime(name: string, text: string, now: Date): string {
  const age = /^(\d{1,5})\s?([mhdw])$/i.exec(text.trim())
  if (age) return new Date(now.getTime() - Number(age[1]) * UNITS[age[2]!.toLowerCase()]!).toISOString()
  const [, date = '', clock = 'T00:00', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(text) ?? []
  // Of 31 February, parsing makes a day of March.
  const time = isDate(date) ? Date.parse(`${date}${clock}${zone}`) : Number.NaN
  if (!Number.isNaN(time)) return new Date(time).toISOString()
  throw new ToolError(
    'invalid_arguments',
    `${name} is ${quoted(text)}: give an ISO time such as 2026-11-21T08:00:00Z or an age such as 30m, 24h, 7d. Call list_incidents again.`,
  )
}

function isDate(text: string): boolean {
  const time = Date.parse(text)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text)
}

/** Which filter to give up, and how many match without it. */
async function relaxing(
  { query }: Filters,
  projectId: string,
  { tocsin, offers }: ToolContext,
): Promise<string> {
  const names = Object.keys(query) as (keyof ApiIncidentQuery)[]
  const without = await Promise.all(
    names.map(async (name) => {
      const { [name]: _, ...rest } = query
      const { total } = await tocsin.listIncidents(projectId, { ...rest, limit: 1 })
      return `without ${name === 'q' ? 'query' : name}: ${total}`
    }),
  )
  return without.length === 0
    ? `The project has no incident yet${offers('get_webhook_url') ? '; get_webhook_url tells how to send one' : ''}.`
    : `Matching ${without.join(', ')}.${names.includes('status') ? ' status "all" includes resolved ones.' : ''}`
}
