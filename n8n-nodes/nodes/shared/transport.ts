import {
  type IDataObject,
  type IExecuteSingleFunctions,
  type IHookFunctions,
  type IHttpRequestMethods,
  type ILoadOptionsFunctions,
  type IN8nHttpFullResponse,
  type JsonObject,
  NodeApiError,
  NodeOperationError,
} from 'n8n-workflow'
import { readRefusal } from './answer.ts'
import { readCredential } from './credential.ts'

export type TocsinContext = IHookFunctions | ILoadOptionsFunctions | IExecuteSingleFunctions

const TIME_LIMIT_MS = 30_000

interface Call {
  method?: IHttpRequestMethods
  /** Below /api/v1. */
  path: string
  qs?: IDataObject
  body?: IDataObject
  /** What the answer has to hold. */
  wanted?: string
}

/** The address of the API. Throws NodeOperationError where a field of the credential cannot be right. */
export async function apiUrl(context: TocsinContext): Promise<string> {
  const access = readCredential(await context.getCredentials('tocsinApi'))
  if ('apiUrl' in access) return access.apiUrl
  throw new NodeOperationError(context.getNode(), access.fault, {
    description: 'Open the credential of the node and change the field.',
  })
}

/** Calls the API with the node's credential. Throws NodeApiError with Tocsin's sentence on anything but a success. */
export async function callTocsin<T>(context: TocsinContext, call: Call): Promise<T> {
  const response = await request(context, call)
  throwRefusal(context, response, call)
  return response.body as T
}

/** The same; null where there is no such thing. */
export async function callIfThere<T>(context: TocsinContext, call: Call): Promise<T | null> {
  const response = await request(context, call)
  if (isNotFound(response)) return null
  throwRefusal(context, response, call)
  return response.body as T
}

/** Throws NodeApiError with Tocsin's sentence where the answer is no success, and with ours where it lacks what is wanted. */
export function throwRefusal(
  context: TocsinContext,
  { statusCode, body }: IN8nHttpFullResponse,
  { wanted, itemIndex }: { wanted?: string; itemIndex?: number },
): void {
  const refusal = readRefusal(statusCode, body, wanted)
  if (!refusal) return
  const answered = typeof body === 'object' ? (body as unknown as JsonObject) : { answer: String(body) }
  throw new NodeApiError(context.getNode(), answered, {
    message: refusal.message,
    description: refusal.description,
    httpCode: String(statusCode),
    ...(itemIndex !== undefined && { itemIndex }),
  })
}

/** The project in a path: the one chosen, else the key's own. Throws NodeOperationError where the key opens several. */
export async function projectId(context: TocsinContext, chosen: string): Promise<string> {
  if (chosen !== '') return chosen
  const { key } = await callTocsin<{ key: { projectId: string | null } }>(context, {
    path: '/me',
    wanted: 'key',
  })
  if (key.projectId !== null) return key.projectId
  throw new NodeOperationError(context.getNode(), 'Choose a project', {
    description: 'The key of this credential opens all projects, so it does not say which one is meant.',
  })
}

/**
 * An id as a part of a path. Throws NodeOperationError where it would lead elsewhere: of a path with `..` what is before
 * goes, and what is asked of a source would happen to its project.
 */
export function pathPart(context: TocsinContext, field: string, id: unknown): string {
  const part = String(id ?? '').trim()
  if (!['', '.', '..'].includes(part)) return encodeURIComponent(part)
  throw new NodeOperationError(
    context.getNode(),
    `${field}: ${part === '' ? 'a blank' : `"${part}"`} is no ID`,
    {
      description:
        'Give the ID that Tocsin shows, or choose from the list; where the field holds an expression, look at what that gives for this item.',
    },
  )
}

async function request(context: TocsinContext, { method = 'GET', path, qs, body }: Call) {
  return (await context.helpers.httpRequestWithAuthentication.call(context, 'tocsinApi', {
    method,
    url: (await apiUrl(context)) + path,
    ...(qs && { qs }),
    ...(body && { body }),
    json: true,
    timeout: TIME_LIMIT_MS,
    returnFullResponse: true,
    ignoreHttpStatusErrors: true,
  })) as IN8nHttpFullResponse
}

/** Tocsin's own word for it: a 404 of some proxy says nothing about what is there. */
function isNotFound({ statusCode, body }: IN8nHttpFullResponse): boolean {
  const { error } = (body ?? {}) as { error?: { code?: string } }
  return statusCode === 404 && error?.code === 'not_found'
}
