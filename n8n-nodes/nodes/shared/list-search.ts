import type {
  IDataObject,
  ILoadOptionsFunctions,
  INodeListSearchResult,
  INodeParameterResourceLocator,
  INodePropertyOptions,
} from 'n8n-workflow'
import { callTocsin, pathPart, projectId } from './transport.ts'

const PAGE = 100

interface Page {
  nextCursor: string | null
}
interface Project {
  id: string
  name: string
}
type OwnKey = { projectId: string; projectName: string } | { projectId: null }
interface Source {
  id: string
  name: string
  adapter: string
}
interface Incident {
  id: string
  reference: string
  title: string
  url: string | null
}

/** The pickers of the editor: page by page, and what is typed narrows the list. */

export async function searchProjects(
  this: ILoadOptionsFunctions,
  filter?: string,
  cursor?: string,
): Promise<INodeListSearchResult> {
  const { projects, nextCursor } = await projectsPage(this, cursor)
  return list(narrow(projects, filter, ({ name }) => name).map(toOption), nextCursor)
}

export async function searchSources(
  this: ILoadOptionsFunctions,
  filter?: string,
  cursor?: string,
): Promise<INodeListSearchResult> {
  const { sources, nextCursor } = await sourcesPage(this, cursor)
  return list(
    narrow(sources, filter, ({ name, adapter }) => `${name} ${adapter}`).map(sourceOption),
    nextCursor,
  )
}

/** Through which an event may be sent with the key: sources of the generic adapter. */
export async function searchGenericSources(
  this: ILoadOptionsFunctions,
  filter?: string,
  cursor?: string,
): Promise<INodeListSearchResult> {
  const { sources, nextCursor } = await sourcesPage(this, cursor)
  const generic = sources.filter(({ adapter }) => adapter === 'generic')
  return list(narrow(generic, filter, ({ name }) => name).map(sourceOption), nextCursor)
}

export async function searchIncidents(
  this: ILoadOptionsFunctions,
  filter?: string,
  cursor?: string,
): Promise<INodeListSearchResult> {
  const { incidents, nextCursor } = await callTocsin<Page & { incidents: Incident[] }>(this, {
    path: `${await projectPath(this)}/incidents`,
    wanted: 'incidents',
    qs: { ...page(cursor), ...(filter && { q: filter }) },
  })
  const results = incidents.map(({ id, reference, title, url }) => ({
    name: `${reference} ${title}`,
    value: id,
    ...(url && { url }),
  }))
  return list(results, nextCursor)
}

/** All sources, for a field that takes several. */
export async function sourceOptions(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
  const options: INodePropertyOptions[] = []
  let cursor: string | undefined
  do {
    const { sources, nextCursor } = await sourcesPage(this, cursor)
    options.push(...sources.map(sourceOption))
    cursor = nextCursor ?? undefined
  } while (cursor !== undefined)
  return options
}

/** Only administrators may list projects; the key of one project knows that one. */
async function projectsPage(
  context: ILoadOptionsFunctions,
  cursor: string | undefined,
): Promise<Page & { projects: Project[] }> {
  const { key } = await callTocsin<{ key: OwnKey }>(context, { path: '/me', wanted: 'key' })
  if (key.projectId !== null) {
    return { projects: [{ id: key.projectId, name: key.projectName }], nextCursor: null }
  }
  return callTocsin(context, { path: '/projects', qs: page(cursor), wanted: 'projects' })
}

async function sourcesPage(context: ILoadOptionsFunctions, cursor: string | undefined) {
  return callTocsin<Page & { sources: Source[] }>(context, {
    path: `${await projectPath(context)}/sources`,
    wanted: 'sources',
    qs: page(cursor),
  })
}

/** The project is a parameter of the action node and an option of the trigger. */
async function projectPath(context: ILoadOptionsFunctions): Promise<string> {
  const chosen = (context.getCurrentNodeParameter('project') ??
    context.getCurrentNodeParameter('options.project')) as INodeParameterResourceLocator | undefined
  return `/projects/${pathPart(context, 'Project', await projectId(context, String(chosen?.value ?? '')))}`
}

function page(cursor: string | undefined): IDataObject {
  return { limit: PAGE, ...(cursor && { cursor }) }
}

function narrow<T>(entries: T[], filter: string | undefined, textOf: (entry: T) => string): T[] {
  const wanted = filter?.toLowerCase() ?? ''
  return entries.filter((entry) => textOf(entry).toLowerCase().includes(wanted))
}

function toOption({ id, name }: Project): INodePropertyOptions {
  return { name, value: id }
}

function sourceOption({ id, name, adapter }: Source): INodePropertyOptions {
  return { name: `${name} (${adapter})`, value: id }
}

function list(results: INodePropertyOptions[], nextCursor: string | null): INodeListSearchResult {
  return { results, ...(nextCursor !== null && { paginationToken: nextCursor }) }
}
