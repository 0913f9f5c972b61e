import type { ApiEvent, ApiIncident, ApiRequest, ApiSignal, ApiTimelineEntry } from '@tocsin/core'
import type { TocsinProcess } from './tocsin-process.ts'

/** What a project's owner reads through the API, all pages of it. */
export interface Reading {
  /** Newest first; `query` such as `status=open`. */
  incidents(query?: string): Promise<ApiIncident[]>
  incident(id: string): Promise<ApiIncident>
  timeline(incident: string): Promise<ApiTimelineEntry[]>
  events(incident: string): Promise<ApiEvent[]>
  signals(incident: string): Promise<ApiSignal[]>
  requests(query?: string): Promise<ApiRequest[]>
}

export function reading(tocsin: Pick<TocsinProcess, 'api' | 'projectId'>, projectId?: string): Reading {
  const project = `/projects/${projectId ?? tocsin.projectId}`

  async function all<T>(name: string, path: string, query = ''): Promise<T[]> {
    const found: T[] = []
    let cursor: string | null = null
    do {
      const page: Record<string, T[]> & { nextCursor: string | null } = await tocsin.api(
        'GET',
        `${project}${path}?limit=100${query && `&${query}`}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`,
      )
      found.push(...page[name]!)
      cursor = page.nextCursor
    } while (cursor)
    return found
  }

  return {
    incidents: (query) => all('incidents', '/incidents', query),
    incident: async (id) =>
      (await tocsin.api<{ incident: ApiIncident }>('GET', `${project}/incidents/${id}`)).incident,
    timeline: (incident) => all('timeline', `/incidents/${incident}/timeline`),
    events: (incident) => all('events', `/incidents/${incident}/events`),
    signals: (incident) => all('signals', `/incidents/${incident}/signals`),
    requests: (query) => all('requests', '/requests', query),
  }
}
