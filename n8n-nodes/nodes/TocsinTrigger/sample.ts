import type { IDataObject, IHookFunctions } from 'n8n-workflow'
import { callTocsin } from '../shared/transport.ts'
import type { Filters } from './filters.ts'

const STATUSES: Record<string, string> = {
  'incident.acknowledged': 'acknowledged',
  'incident.opened': 'open',
  'incident.reopened': 'open',
  'incident.resolved': 'resolved',
}

export interface Message extends IDataObject {
  type: string
  timestamp: string
  data: IDataObject
}

interface Incident extends IDataObject {
  status: string
  labels: Record<string, string | string[]>
  updatedAt: string
  signals: { monitor: IDataObject }[]
}

/** Tocsin filters by labels in messages, not in lists: so many incidents are looked through. */
const LOOKED_THROUGH = 100

/** A message the node asks for: about the newest incident, or Tocsin's own example where there is none. */
export async function findSample(
  context: IHookFunctions,
  projectPath: string,
  filters: Filters,
): Promise<Message | undefined> {
  const types = filters.events.filter((type) => type in STATUSES)
  if (types.length === 0) return undefined
  const incident = await newestIncident(context, projectPath, filters, [
    ...new Set(types.map((type) => STATUSES[type]!)),
  ])
  const type = incident ? types.find((one) => STATUSES[one] === incident.status) : types[0]
  const { examples } = await callTocsin<{ examples: Message[] }>(context, {
    path: `/schemas/${type}.json`,
    wanted: 'examples',
  })
  const example = examples[0]!
  if (!incident) return example
  const monitor = incident.signals[0]?.monitor ?? { id: null, name: null, url: null }
  return {
    ...example,
    timestamp: incident.updatedAt,
    data: { ...example.data, incident, monitor, regions: [] },
  }
}

/** None for a key that may not read incidents, too: the trigger itself does not need that. */
async function newestIncident(
  context: IHookFunctions,
  projectPath: string,
  { severities, services, sources, labels, drills }: Filters,
  statuses: string[],
): Promise<Incident | undefined> {
  const lists = Object.entries({ status: statuses, severity: severities, service: services, source: sources })
  const asked = lists.flatMap(([name, values]) => (values.length > 0 ? [[name, values.join(',')]] : []))
  const limit = Object.keys(labels).length > 0 ? LOOKED_THROUGH : 1
  try {
    const { incidents } = await callTocsin<{ incidents: Incident[] }>(context, {
      path: `${projectPath}/incidents`,
      wanted: 'incidents',
      qs: { ...Object.fromEntries(asked), ...(!drills && { drill: 'false' }), limit },
    })
    return incidents.find((incident) =>
      Object.entries(labels).every(([name, value]) => [incident.labels[name]].flat().includes(value)),
    )
  } catch (error) {
    context.logger.warn(`Tocsin Trigger: the sample is an example: ${(error as Error).message}`)
    return undefined
  }
}

/** What the editor gets for the test that came. */
export function sampleFor(test: Message, sample: Message): Message {
  return { ...sample, data: { ...sample.data, project: test.data.project } }
}

/** Has Tocsin send a test to an endpoint. Where it does not, the editor waits for the next message. */
export async function askForTest(context: IHookFunctions, endpointPath: string): Promise<void> {
  try {
    await callTocsin(context, { method: 'POST', path: `${endpointPath}/test`, body: {} })
  } catch (error) {
    context.logger.warn(`Tocsin Trigger: no sample, as Tocsin sent no test: ${(error as Error).message}`)
  }
}
