import type { IDataObject, IHookFunctions } from 'n8n-workflow'
import { callIfThere, callTocsin, projectId } from '../shared/transport.ts'
import { type Filters, readFilters } from './filters.ts'

/** What n8n keeps for this node: in its database while the workflow is active, in memory while a test listens. */
export interface Registration {
  endpointId?: string
  projectId?: string
  secret?: string
  /** Messages taken lately (repeats.ts). */
  taken?: string[]
}

interface Endpoint extends Filters {
  id: string
  url: string
  enabled: boolean
  disabledReason: string | null
}

/** Whether Tocsin's endpoint is there and is just what the node asks for. */
export async function isRegistered(context: IHookFunctions): Promise<boolean> {
  const registration = registrationOf(context)
  const { endpointId, projectId, secret } = registration
  if (!endpointId || !projectId || !secret) return false

  const found = await callIfThere<{ endpoint: Endpoint }>(context, {
    path: endpointPath(projectId, endpointId),
  })
  if (!found) {
    forget(registration)
    return false
  }
  const { endpoint } = found
  if (projectId !== (await wantedProject(context)) || endpoint.url !== context.getNodeWebhookUrl('default')) {
    await unregister(context)
    return false
  }
  return isOn(endpoint, context.getActivationMode()) && sameFilters(endpoint, readFilters(context))
}

/** Creates the endpoint, or takes over the one that has our address: a crash may have kept n8n from noting it. */
export async function register(context: IHookFunctions): Promise<void> {
  const project = await wantedProject(context)
  const wanted = {
    ...readFilters(context),
    enabled: true,
    description: `n8n: ${context.getWorkflow().name ?? 'a workflow'}`.slice(0, 500),
  }
  const made = await callTocsin<{ endpoint: Endpoint; secret: string | null }>(context, {
    method: 'POST',
    path: `/projects/${encodeURIComponent(project)}/endpoints`,
    body: { ...wanted, url: context.getNodeWebhookUrl('default') },
  })
  const path = endpointPath(project, made.endpoint.id)
  const secret = made.secret ?? (await takeOver(context, path, wanted))
  Object.assign(registrationOf(context), { endpointId: made.endpoint.id, projectId: project, secret })
}

/** Removes the endpoint; one that is gone already counts as removed. */
export async function unregister(context: IHookFunctions): Promise<void> {
  const registration = registrationOf(context)
  const { endpointId, projectId } = registration
  if (endpointId && projectId) {
    await callIfThere(context, { method: 'DELETE', path: endpointPath(projectId, endpointId) })
  }
  forget(registration)
}

/** What was asked for last time goes, filter by filter; whoever knew the old secret knows nothing now. */
async function takeOver(context: IHookFunctions, path: string, wanted: IDataObject): Promise<string> {
  await callTocsin(context, { method: 'PATCH', path, body: wanted })
  const { secret } = await callTocsin<{ secret: string }>(context, {
    method: 'POST',
    path: `${path}/rotate`,
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

function endpointPath(project: string, endpoint: string): string {
  return `/projects/${encodeURIComponent(project)}/endpoints/${encodeURIComponent(endpoint)}`
}

/** What n8n keeps of this node; a change of it is stored when the hook is through. */
function registrationOf(context: IHookFunctions): Registration {
  return context.getWorkflowStaticData('node')
}

/** Ids of messages taken stay: they are unique for ever. */
function forget(registration: Registration): void {
  delete registration.endpointId
  delete registration.projectId
  delete registration.secret
}
