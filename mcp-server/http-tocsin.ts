import { type ErrorCode, type Tocsin, TocsinError } from '@tocsin/core'

/** Method and path below `/api/v1` of every use-case; arguments fill the parameters in order, then query or body. */
export const ROUTES: Record<keyof Tocsin, readonly [method: string, path: string]> = {
  me: ['get', '/me'],

  createProject: ['post', '/projects'],
  listProjects: ['get', '/projects'],
  getProject: ['get', '/projects/:project'],
  updateProject: ['patch', '/projects/:project'],
  deleteProject: ['delete', '/projects/:project'],

  getIngestion: ['get', '/projects/:project/ingestion'],
  createSource: ['post', '/projects/:project/sources'],
  listSources: ['get', '/projects/:project/sources'],
  getSource: ['get', '/projects/:project/sources/:source'],
  updateSource: ['patch', '/projects/:project/sources/:source'],
  deleteSource: ['delete', '/projects/:project/sources/:source'],
  rotateSource: ['post', '/projects/:project/sources/:source/rotate'],
  previewSource: ['post', '/projects/:project/sources/preview'],
  testSource: ['post', '/projects/:project/sources/:source/test'],
  revealSecret: ['post', '/projects/:project/reveals/:reveal'],

  listRequests: ['get', '/projects/:project/requests'],
  getRequest: ['get', '/projects/:project/requests/:request'],
  replayRequest: ['post', '/projects/:project/requests/:request/replay'],

  listIncidents: ['get', '/projects/:project/incidents'],
  createIncident: ['post', '/projects/:project/incidents'],
  getIncident: ['get', '/projects/:project/incidents/:incident'],
  listTimeline: ['get', '/projects/:project/incidents/:incident/timeline'],
  listIncidentEvents: ['get', '/projects/:project/incidents/:incident/events'],
  listIncidentSignals: ['get', '/projects/:project/incidents/:incident/signals'],
  acknowledgeIncident: ['post', '/projects/:project/incidents/:incident/acknowledge'],
  resolveIncident: ['post', '/projects/:project/incidents/:incident/resolve'],
  reopenIncident: ['post', '/projects/:project/incidents/:incident/reopen'],
  addNote: ['post', '/projects/:project/incidents/:incident/notes'],

  draftPostmortem: ['post', '/projects/:project/incidents/:incident/postmortem'],
  getPostmortem: ['get', '/projects/:project/incidents/:incident/postmortem'],
  savePostmortem: ['put', '/projects/:project/incidents/:incident/postmortem'],

  getMetrics: ['get', '/projects/:project/metrics'],

  createEndpoint: ['post', '/projects/:project/endpoints'],
  listEndpoints: ['get', '/projects/:project/endpoints'],
  getEndpoint: ['get', '/projects/:project/endpoints/:endpoint'],
  updateEndpoint: ['patch', '/projects/:project/endpoints/:endpoint'],
  deleteEndpoint: ['delete', '/projects/:project/endpoints/:endpoint'],
  rotateEndpoint: ['post', '/projects/:project/endpoints/:endpoint/rotate'],
  testEndpoint: ['post', '/projects/:project/endpoints/:endpoint/test'],
  listMessages: ['get', '/projects/:project/endpoints/:endpoint/messages'],
  getMessage: ['get', '/projects/:project/messages/:message'],
  replayMessage: ['post', '/projects/:project/messages/:message/replay'],
  replayEndpoint: ['post', '/projects/:project/endpoints/:endpoint/replay'],

  createKey: ['post', '/projects/:project/keys'],
  listKeys: ['get', '/projects/:project/keys'],
  deleteKey: ['delete', '/projects/:project/keys/:key'],

  recordToolCall: ['post', '/audit'],
  listToolCalls: ['get', '/projects/:project/audit'],
}

/** A draft may wait for a model. */
const LIMIT_MS = 120_000

/**
 * The use-cases of a Tocsin that runs elsewhere, as the owner of this key has them. `url` is its base, without a
 * trailing slash. Throws as core does; `unavailable` where nobody answers.
 */
export function httpTocsin(url: string, key: string): Tocsin {
  return Object.fromEntries(
    Object.entries(ROUTES).map(([name, [method, path]]) => [
      name,
      (...given: unknown[]) => call(url, key, method, path, given),
    ]),
  ) as unknown as Tocsin
}

async function call(
  url: string,
  key: string,
  method: string,
  path: string,
  given: unknown[],
): Promise<unknown> {
  const rest = [...given]
  const filled = path.replaceAll(/:(\w+)/g, (_, name: string) => pathPart(name, String(rest.shift())))
  const input = (rest[0] ?? {}) as Record<string, unknown>
  const hasBody = method !== 'get' && method !== 'delete'
  const query = hasBody ? '' : queryText(input)

  const response = await ask(`${url}/api/v1${filled}${query}`, {
    method: method.toUpperCase(),
    headers: {
      Authorization: `Bearer ${key}`,
      Accept: 'application/json',
      ...(hasBody && { 'Content-Type': 'application/json' }),
    },
    ...(hasBody && { body: JSON.stringify(input) }),
    // A key goes to the address it was given for and nowhere else.
    redirect: 'error',
    signal: AbortSignal.timeout(LIMIT_MS),
  })
  if (response.status === 204) return undefined
  const answer = await readJson(response)
  if (response.ok) return answer
  throw errorOf(response, answer)
}

/** Throws `invalid_request` where an id would lead to something else: of a path with `..` what is before goes. */
function pathPart(name: string, id: string): string {
  if (!['', '.', '..'].includes(id)) return encodeURIComponent(id)
  throw new TocsinError('invalid_request', `${name}: "${id}" is no id. Give the id that Tocsin shows.`)
}

function queryText(input: Record<string, unknown>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input)) {
    if (value !== undefined) query.set(name, Array.isArray(value) ? value.join(',') : String(value))
  }
  return query.size === 0 ? '' : `?${query}`
}

async function ask(address: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, init)
  } catch (error) {
    const message = `Tocsin does not answer at ${new URL(address).origin}. Is it running, and is TOCSIN_URL right?`
    throw new TocsinError('unavailable', message, { cause: error })
  }
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch (error) {
    const message = `What answers at ${new URL(response.url).origin} is no Tocsin. Is TOCSIN_URL right?`
    throw new TocsinError('unavailable', message, { cause: error })
  }
}

interface Refusal {
  error?: { code?: ErrorCode | 'internal_error'; message?: string }
  requestId?: string
}

function errorOf(response: Response, answer: unknown): Error {
  const { error, requestId } = answer as Refusal
  const { code, message = '' } = error ?? {}
  if (code === undefined || code === 'internal_error' || code === 'method_not_allowed') {
    return new Error(`Tocsin answered ${response.status} (${requestId ?? 'no request id'}): ${message}`)
  }
  const seconds = Number(response.headers.get('retry-after'))
  return new TocsinError(code, message, {
    ...(requestId !== undefined && { requestId }),
    ...(seconds > 0 && { retryAfterSeconds: seconds }),
  })
}
