import type { IDataObject, IHookFunctions } from 'n8n-workflow'
import { callTocsin } from '../shared/transport.ts'

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
  updatedAt: string
  signals: { monitor: IDataObject }[]
}

/** A message of a kind the node asks for: about the newest incident, or Tocsin's own example where there is none. */
export async function findSample(
  context: IHookFunctions,
  projectPath: string,
  events: string[],
): Promise<Message | undefined> {
  const types = events.filter((type) => type in STATUSES)
  if (types.length === 0) return undefined
  const statuses = [...new Set(types.map((type) => STATUSES[type]))]
  const incident = await newestIncident(context, projectPath, statuses.join(','))
  const type = incident ? types.find((one) => STATUSES[one] === incident.status) : types[0]
  const { examples } = await callTocsin<{ examples: Message[] }>(context, { path: `/schemas/${type}.json` })
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
  status: string,
): Promise<Incident | undefined> {
  try {
    const { incidents } = await callTocsin<{ incidents: Incident[] }>(context, {
      path: `${projectPath}/incidents`,
      qs: { status, limit: 1 },
    })
    return incidents[0]
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
