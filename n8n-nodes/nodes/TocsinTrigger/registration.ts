import {
  type IDataObject,
  type IHookFunctions,
  type IWebhookFunctions,
  NodeApiError,
  sleep,
} from 'n8n-workflow'
import { callIfThere, callTocsin, pathPart, projectId } from '../shared/transport.ts'
import { type Filters, readFilters } from './filters.ts'
import { askForTest, findSample, type Message } from './sample.ts'

/**
 * How long Tocsin goes on collecting for an address that was removed. n8n has one word for "deactivated" and for "about
 * to be registered again with what was just saved", and a workflow that cannot be activated may need a person.
 */
const KEPT_MINUTES = 10

/**
 * What n8n keeps for this node: in its database, or in memory while a test listens. It outlasts a removal: messages
 * that were under way meanwhile, and a save that overtakes another, find the same secret.
 */
export interface Registration {
  endpointId?: string
  projectId?: string
  secret?: string
  /** The address of the editor, which listens once. */
  isTest?: boolean
  /** What the editor gets at the test that is on its way. */
  sample?: Message
  /** Requests taken lately (repeats.ts). */
  taken?: string[]
}

interface Endpoint extends Filters {
  id: string
  url: string
  enabled: boolean
  disabledReason: string | null
}

/** n8n notes what a hook registered for the editor within moments after the hook is through. */
const NOTED_MS = 1000

/** What the editor listens with, by its address. */
const listening = new Map<string, Registration>()

/** What messages are verified with. The test that a registration asked for may be here before n8n noted the registration. */
export async function registrationFor(context: IWebhookFunctions): Promise<Registration> {
  const noted: Registration = context.getWorkflowStaticData('node')
  const early = noted.secret ? undefined : listening.get(context.getNodeWebhookUrl('default') ?? '')
  if (!early) return noted
  // To start now would have n8n clear away what it is still registering.
  await sleep(NOTED_MS)
  return early
}

/** Whether Tocsin's endpoint is there and is just what the node asks for. */
export async function isRegistered(context: IHookFunctions): Promise<boolean> {
  const { endpointId, projectId, secret } = registrationOf(context)
  if (!endpointId || !projectId || !secret) return false

  const found = await callIfThere<{ endpoint: Endpoint }>(context, {
    path: endpointPath(context, projectId, endpointId),
    wanted: 'endpoint',
  })
  if (!found) return false
  const { endpoint } = found
  if (projectId !== (await wantedProject(context)) || endpoint.url !== context.getNodeWebhookUrl('default')) {
    await unregister(context)
    return false
  }
  return isOn(endpoint, context.getActivationMode()) && sameFilters(endpoint, readFilters(context))
}

/**
 * Creates the endpoint; one removed lately comes back with what waited. Takes over one that has our address: a crash
 * may have kept n8n from noting it.
 */
export async function register(context: IHookFunctions): Promise<void> {
  const registration = registrationOf(context)
  const url = context.getNodeWebhookUrl('default') ?? ''
  const project = await wantedProject(context)
  const filters = readFilters(context)
  const wanted = {
    ...filters,
    enabled: true,
    description: `n8n: ${context.getWorkflow().name ?? 'a workflow'}`.slice(0, 500),
  }
  const isTest = context.getMode() === 'manual'
  const wantsSample = isTest && !context.getNodeParameter('options.wait', false)
  const sample = wantsSample && (await findSample(context, projectPath(context, project), filters))
  const made = await callTocsin<{ endpoint: Endpoint; secret: string | null }>(context, {
    method: 'POST',
    path: `${projectPath(context, project)}/endpoints`,
    wanted: 'endpoint',
    body: {
      ...wanted,
      url,
      ...(registration.secret && { secret: registration.secret }),
    },
  })
  const path = endpointPath(context, project, made.endpoint.id)
  const secret = made.secret ?? (await takeOver(context, path, wanted))
  Object.assign(registration, { endpointId: made.endpoint.id, projectId: project, secret, isTest })
  if (!wantsSample) return
  if (sample) registration.sample = sample
  listening.set(url, { ...registration })
  await askForTest(context, path)
}

/**
 * Removes the endpoint; one that is gone already counts as removed. Throws where Tocsin did not do it, naming what stays
 * there: n8n deactivates the workflow all the same, and this is all that its log says.
 */
export async function unregister(context: IHookFunctions): Promise<void> {
  const { endpointId, projectId, isTest } = registrationOf(context)
  if (isTest) listening.delete(context.getNodeWebhookUrl('default') ?? '')
  if (!endpointId || !projectId) return
  try {
    await callIfThere(context, {
      method: 'DELETE',
      path: endpointPath(context, projectId, endpointId),
      ...(!isTest && { qs: { keepMinutes: KEPT_MINUTES } }),
    })
  } catch (error) {
    const { message, description, httpCode } = error as Partial<NodeApiError>
    throw new NodeApiError(
      context.getNode(),
      {},
      {
        message: `The endpoint ${endpointId} stays in Tocsin, which goes on sending: ${message}`,
        description: description ?? '',
        httpCode: httpCode ?? '',
      },
    )
  }
}

/** What was asked for last time goes, filter by filter; whoever knew the old secret knows nothing now. */
async function takeOver(context: IHookFunctions, path: string, wanted: IDataObject): Promise<string> {
  await callTocsin(context, { method: 'PATCH', path, body: wanted })
  const { secret } = await callTocsin<{ secret: string }>(context, {
    method: 'POST',
    path: `${path}/rotate`,
    wanted: 'secret',
    body: { overlapMinutes: 0 },
  })
  return secret
}

/** What someone switched off in Tocsin stays off over a restart of n8n, until the workflow is activated again. */
function isOn({ enabled, disabledReason }: Endpoint, mode: string): boolean {
  return enabled || (disabledReason === 'by_hand' && mode === 'init')
}

function sameFilters(left: Filters, right: Filters): boolean {
  const text = (filters: Filters) =>
    JSON.stringify([
      filters.events.toSorted(),
      filters.severities.toSorted(),
      filters.services.toSorted(),
      filters.sources.toSorted(),
      Object.entries(filters.labels).toSorted(([one], [other]) => (one < other ? -1 : 1)),
      filters.drills,
    ])
  return text(left) === text(right)
}

function wantedProject(context: IHookFunctions): Promise<string> {
  const chosen = context.getNodeParameter('options.project', '', { extractValue: true }) as string
  return projectId(context, chosen)
}

function projectPath(context: IHookFunctions, project: string): string {
  return `/projects/${pathPart(context, 'Project', project)}`
}

function endpointPath(context: IHookFunctions, project: string, endpoint: string): string {
  return `${projectPath(context, project)}/endpoints/${pathPart(context, 'Endpoint', endpoint)}`
}

/** What n8n keeps of this node; a change of it is stored when the hook is through. */
function registrationOf(context: IHookFunctions): Registration {
  return context.getWorkflowStaticData('node')
}
