import type { IHookFunctions } from 'n8n-workflow'

/** Which messages the endpoint gets, in the words of Tocsin's API. */
export interface Filters {
  events: string[]
  severities: string[]
  services: string[]
  labels: Record<string, string>
  sources: string[]
  drills: boolean
}

interface LabelRow {
  name?: string
  value?: string
}

/** As the editor makes them; an expression may give a list where the field holds text, or text where it holds a list. */
interface Options {
  severities?: unknown
  services?: unknown
  labels?: { label?: LabelRow | LabelRow[] } | LabelRow[]
  sources?: unknown
  drills?: boolean
}

/** From the node's parameters; what is not set filters nothing. */
export function readFilters(context: IHookFunctions): Filters {
  const { severities, services, labels, sources, drills } = context.getNodeParameter('options', {}) as Options
  return {
    events: words(context.getNodeParameter('events', [])),
    severities: words(severities),
    services: words(services),
    labels: Object.fromEntries(
      [(Array.isArray(labels) ? labels : labels?.label) ?? []].flat().flatMap(rowOf),
    ),
    sources: words(sources),
    drills: drills ?? false,
  }
}

/** Of a list, or of text with commas. */
export function words(given: unknown): string[] {
  return [given]
    .flat()
    .join(',')
    .split(',')
    .flatMap((word) => word.trim() || [])
}

/** A row nobody has filled in is none; one without a name is left to Tocsin, which says so. */
function rowOf({ name = '', value = '' }: LabelRow): [string, string][] {
  return name === '' && value === '' ? [] : [[name, value]]
}
