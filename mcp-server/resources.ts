import { type ApiIncident, TocsinError } from '@tocsin/core'
import { mayUse, type ToolContext } from './define-tool.ts'
import { allProjects, allSources, findSource } from './find.ts'
import { getIncident } from './tools/get-incident.ts'
import { showIncident, strangeOfIncident } from './tools/incident.ts'
import { showWebhook } from './tools/webhook.ts'

export interface Resource {
  uri: string
  name: string
  title: string
  mimeType: string
  annotations: { lastModified: string }
}

export interface ResourceTemplate {
  uriTemplate: string
  name: string
  title: string
  description: string
  mimeType: string
}

export interface ReadResource {
  contents: { uri: string; mimeType: string; text: string }[]
}

const MARKDOWN = 'text/markdown'
const MOST_LISTED = 50

const templates: readonly ResourceTemplate[] = [
  {
    uriTemplate: 'tocsin://incidents/{incidentId}',
    name: 'incident',
    title: 'Incident',
    description: 'An incident by id or reference',
    mimeType: MARKDOWN,
  },
  {
    uriTemplate: 'tocsin://incidents/{incidentId}/timeline',
    name: 'timeline',
    title: 'Timeline of an incident',
    description: 'Timeline, signals and events',
    mimeType: MARKDOWN,
  },
  {
    uriTemplate: 'tocsin://sources/{source}',
    name: 'source',
    title: 'Webhook source',
    description: 'Address, state and set-up of a source, without its secret',
    mimeType: MARKDOWN,
  },
  {
    uriTemplate: 'tocsin://templates/postmortem/{name}',
    name: 'postmortem-template',
    title: 'Post-mortem template',
    description: 'Sections that draft_postmortem writes',
    mimeType: MARKDOWN,
  },
]

/** Headings of each template, for readers inside; draft_postmortem leaves out a section it has nothing for. */
export const TEMPLATES: Record<string, readonly string[]> = {
  standard: [
    ...['Summary', 'Impact', 'Detection', 'Timeline', 'Signals', 'Response'],
    ...['Contributing factors (hypotheses)', 'What went well', 'What went badly'],
    ...['Actions', 'Open questions', 'Earlier incidents', 'Evidence'],
  ],
  brief: ['Summary', 'Impact', 'Actions', 'Open questions', 'Evidence'],
  five_whys: [
    ...['Summary', 'Timeline', 'Five whys (hypotheses)', 'Contributing factors (hypotheses)'],
    ...['Actions', 'Open questions', 'Earlier incidents', 'Evidence'],
  ],
}

/** Those that the key may read. */
export function listResourceTemplates({ key }: ToolContext): ResourceTemplate[] {
  return templates.filter(({ uriTemplate }) => mayUse(key, scopeOf(uriTemplate)))
}

/** The newest incidents. */
export async function listResources(context: ToolContext): Promise<Resource[]> {
  return (await recentIncidents(context)).map(({ id, reference, status, severity, updatedAt }) => ({
    uri: `tocsin://incidents/${id}`,
    // Titles are text of senders, and a list has no place to say so.
    name: reference,
    title: `${reference}: ${status}, ${severity}`,
    mimeType: MARKDOWN,
    annotations: { lastModified: updatedAt },
  }))
}

/** Undefined where there is none, and where the key may not read it. */
export async function readResource(uri: string, context: ToolContext): Promise<ReadResource | undefined> {
  const text = await textOf(uri, context)
  return text === undefined ? undefined : { contents: [{ uri, mimeType: MARKDOWN, text }] }
}

export async function completeResource(
  uriTemplate: string,
  variable: string,
  context: ToolContext,
): Promise<readonly string[]> {
  if (uriTemplate.startsWith('tocsin://incidents/') && variable === 'incidentId') {
    return (await recentIncidents(context)).map(({ reference }) => reference)
  }
  if (uriTemplate.startsWith('tocsin://templates/') && variable === 'name') return Object.keys(TEMPLATES)
  if (!uriTemplate.startsWith('tocsin://sources/') || !mayUse(context.key, 'sources:read')) return []
  const sources = (await Promise.all((await projectsOf(context)).map((id) => allSources(context, id)))).flat()
  // Only what resolves: the tool where it means one source, else the id.
  const isUnique = (slug: string) =>
    sources.filter(({ adapter, name }) => adapter === slug || name.toLowerCase() === slug).length === 1
  return sources.map(({ id, adapter }) => (isUnique(adapter) ? adapter : id))
}

/** Of all projects the key opens, newest first; none where it may not read them. */
export async function recentIncidents(context: ToolContext): Promise<ApiIncident[]> {
  if (!mayUse(context.key, 'incidents:read')) return []
  const pages = await Promise.all(
    (await projectsOf(context)).map((id) => context.tocsin.listIncidents(id, { limit: MOST_LISTED })),
  )
  return pages
    .flatMap(({ incidents }) => incidents)
    .sort((a, b) => b.openedAt.localeCompare(a.openedAt))
    .slice(0, MOST_LISTED)
}

async function textOf(uri: string, context: ToolContext): Promise<string | undefined> {
  if (!mayUse(context.key, scopeOf(uri))) return undefined
  const template = /^tocsin:\/\/templates\/postmortem\/(\w{1,20})$/.exec(uri)?.[1]
  if (template !== undefined) {
    const headings = Object.hasOwn(TEMPLATES, template) ? TEMPLATES[template]! : undefined
    return headings?.map((heading) => `## ${heading}`).join('\n\n')
  }

  const [, kind, part = '', timeline] =
    /^tocsin:\/\/(incidents|sources)\/([^/]{1,600})(\/timeline)?$/.exec(uri) ?? []
  const name = kind === 'sources' ? decoded(part) : /^[\w-]{1,60}$/.exec(part)?.[0]
  if (kind === undefined || name === undefined) return undefined
  const read =
    kind === 'sources' ? (timeline ? undefined : readSource) : timeline ? readTimeline : readIncident
  if (!read) return undefined
  for (const projectId of await projectsOf(context)) {
    const text = await read(projectId, name, context)
    if (text !== undefined) return text
  }
  return undefined
}

/** Undefined where it is no part of an address. */
function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

type Read = (projectId: string, name: string, context: ToolContext) => Promise<string | undefined>

const readIncident: Read = (projectId, name, { tocsin, presenter }) =>
  orNothing(async () => {
    const { incident } = await tocsin.getIncident(projectId, name)
    return presenter.present(
      `# ${incident.reference}`,
      { incident: showIncident(incident) },
      strangeOfIncident('incident.'),
    ).text
  })

const readTimeline: Read = (projectId, name, context) =>
  orNothing(async () => {
    const { incident } = await context.tocsin.getIncident(projectId, name)
    const known = { ...context, key: { ...context.key, projectId } }
    return (await getIncident.handler({ incidentId: incident.id }, known)).text
  })

const readSource: Read = async (projectId, name, { tocsin, presenter, ...rest }) => {
  const source = findSource(await allSources({ tocsin, ...rest }, projectId), name)
  if (!source) return undefined
  const { ingestion } = await tocsin.getIngestion(projectId)
  const { name: label, ...webhook } = showWebhook(ingestion, source, true)
  return presenter.present('# Webhook source', { source: { ...webhook, label } }, { 'source.label': 100 })
    .text
}

async function orNothing(read: () => Promise<string>): Promise<string | undefined> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof TocsinError && error.code === 'not_found') return undefined
    throw error
  }
}

async function projectsOf(context: ToolContext): Promise<string[]> {
  if (context.key.projectId !== null) return [context.key.projectId]
  return (await allProjects(context)).map(({ id }) => id)
}

/** Of the tools that answer the same, and for templates of those that write by them. */
function scopeOf(uri: string): 'incidents:read' | 'sources:read' {
  return uri.startsWith('tocsin://sources/') ? 'sources:read' : 'incidents:read'
}
