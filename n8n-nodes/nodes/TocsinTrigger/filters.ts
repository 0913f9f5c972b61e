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

interface Options {
  severities?: string[]
  services?: string
  labels?: { label?: LabelRow[] }
  sources?: string[]
  drills?: boolean
}

/** From the node's parameters; what is not set filters nothing. */
export function readFilters(context: IHookFunctions): Filters {
  const { severities, services, labels, sources, drills } = context.getNodeParameter('options', {}) as Options
  return {
    events: context.getNodeParameter('events', []) as string[],
    severities: severities ?? [],
    services: (services ?? '').split(',').flatMap((service) => service.trim() || []),
    labels: Object.fromEntries((labels?.label ?? []).flatMap(rowOf)),
    sources: sources ?? [],
    drills: drills ?? false,
  }
}

/** A row nobody has filled in is none; one without a name is left to Tocsin, which says so. */
function rowOf({ name = '', value = '' }: LabelRow): [string, string][] {
  return name === '' && value === '' ? [] : [[name, value]]
}
