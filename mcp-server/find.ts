import { type ApiSource, TocsinError } from '@tocsin/core'
import type { ToolContext } from './define-tool.ts'
import { closest, quoted, ToolError } from './tool-error.ts'

const MOST_NAMED = 20

/** The project a call is about: the one named, or the only one the key opens. */
export async function findProject(context: ToolContext, given: string | undefined): Promise<string> {
  const id = await projectOf(context, given)
  context.onProject(id)
  return id
}

async function projectOf({ tocsin, key }: ToolContext, given: string | undefined): Promise<string> {
  if (key.projectId !== null) {
    if (given === undefined || given === key.projectId) return key.projectId
    // Asked again: what this process was told at its start may have changed.
    const { projectName } = (await tocsin.me()).key
    if (projectName !== null && sameName(projectName, given)) return key.projectId
    throw new ToolError(
      'not_found',
      `No project ${quoted(given)} for this key: it opens only ${key.projectId}. Call again without project.`,
    )
  }

  const projects = await allProjects({ tocsin })
  const found = projects.filter(
    ({ id, name }) => given === undefined || id === given || sameName(name, given),
  )
  if (found.length === 1) return found[0]!.id
  const listed = (found.length > 0 ? found : projects)
    .slice(0, MOST_NAMED)
    // Names are text of people, which errors never hold.
    .map(({ id }) => id)
    .join(', ')
  if (projects.length === 0) {
    throw new ToolError('not_found', 'There is no project yet. Ask the user to start Tocsin or to make one.')
  }
  throw given === undefined || found.length > 1
    ? new ToolError('project_needed', `The key opens several projects: ${listed}. Call again with project.`)
    : new ToolError(
        'not_found',
        `No project ${quoted(given)}. There are ${listed}. Call again with one of them.`,
      )
}

/** Every project the key opens. */
export async function allProjects({ tocsin }: Pick<ToolContext, 'tocsin'>) {
  return allPages(async (page) => {
    const { projects, nextCursor } = await tocsin.listProjects(page)
    return { rows: projects, nextCursor }
  })
}

/** Every source of a project, oldest first. */
export async function allSources(
  { tocsin }: Pick<ToolContext, 'tocsin'>,
  projectId: string,
): Promise<ApiSource[]> {
  const sources = await allPages(async (page) => {
    const { sources, nextCursor } = await tocsin.listSources(projectId, page)
    return { rows: sources, nextCursor }
  })
  return sources.reverse()
}

async function allPages<T>(
  read: (page: { limit: number; cursor?: string }) => Promise<{ rows: T[]; nextCursor: string | null }>,
): Promise<T[]> {
  const all: T[] = []
  let cursor: string | null | undefined
  do {
    const { rows, nextCursor } = await read({ limit: 100, ...(cursor && { cursor }) })
    all.push(...rows)
    cursor = nextCursor
  } while (cursor)
  return all
}

/**
 * The source a word stands for: an id, a name, or a tool of which there is one source. Undefined where there is none;
 * throws where there are several.
 */
export function findSource(sources: readonly ApiSource[], given: string): ApiSource | undefined {
  const byId = sources.find(({ id }) => id === given)
  if (byId) return byId
  const named = sources.filter(
    ({ name, adapter }) => sameName(name, given) || adapter === given.toLowerCase(),
  )
  if (named.length < 2) return named[0]
  const exact = named.filter(({ name }) => name === given)
  if (exact.length === 1) return exact[0]
  throw new ToolError(
    'ambiguous_source',
    `${quoted(given)} stands for ${named.length} sources: ${named.slice(0, MOST_NAMED).map(listed).join(', ')}. Give one of these ids instead.`,
  )
}

/** What to say where no source is meant by a word. */
export function noSource(sources: readonly ApiSource[], given: string, next: string): ToolError {
  const near = closest(
    given,
    sources.flatMap(({ name, adapter }) => [adapter, name]),
  ).flatMap((word) => sources.filter(({ adapter, name }) => adapter === word || name === word))
  const shown = [...new Set(near.length > 0 ? near : sources)].slice(0, MOST_NAMED).map(listed)
  const there =
    shown.length === 0
      ? 'There is no source yet.'
      : `${near.length > 0 ? 'Closest' : 'There are'}: ${shown.join(', ')}.`
  return new ToolError('not_found', `No source ${quoted(given)}. ${there} ${next}`)
}

/** Named by what cannot hold a stranger's text. */
function listed({ id, adapter }: ApiSource): string {
  return `${adapter} (${id})`
}

function sameName(name: string, given: string): boolean {
  return name.toLowerCase() === given.toLowerCase()
}

/** Runs something about an incident; one that is not there is answered with those that are. */
export async function withIncident<T>(
  { tocsin, offers }: ToolContext,
  projectId: string,
  incident: string,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof TocsinError) || error.code !== 'not_found') throw error
    const canList = offers('list_incidents')
    const { incidents } = canList ? await tocsin.listIncidents(projectId, { limit: 50 }) : { incidents: [] }
    const references = incidents.map(({ reference }) => reference)
    const near = closest(incident, references)
    const shown = near.length > 0 ? near : references.slice(0, 3)
    const there =
      shown.length === 0 ? '' : ` ${near.length > 0 ? 'Closest' : 'The newest'}: ${shown.join(', ')}.`
    throw new ToolError(
      'not_found',
      `No incident ${quoted(incident)}.${there} ${canList ? 'Call list_incidents(status: "all") to find its incidentId.' : 'Ask the user for its id or reference.'}`,
    )
  }
}
