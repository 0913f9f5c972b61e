import {
  type ApiScope,
  type Caller,
  findHeaderFault,
  type Log,
  type OpenedTocsin,
  readJsonBody,
  type Tocsin,
  TocsinError,
} from '@tocsin/core'
import { type Request, type Response, Router } from 'express'
import { z } from 'zod'
import { answerJson, answerJsonText, answerMarkdown, answerMethodNotAllowed, newRequestId } from './answer.ts'
import { checkInput, queryReader } from './check-input.ts'
import { idempotencyKeyOf, onceRequest } from './idempotency.ts'
import { collectBody, queryOf, readHeaders } from './read-body.ts'

type Method = 'get' | 'post' | 'patch' | 'put' | 'delete'

/** What people and the OpenAPI document read about an operation. */
interface RouteText {
  /** Name of the use-case. */
  id: keyof Tocsin
  method: Method
  tag: string
  summary: string
  /** What a key needs; core checks it. Null: any valid key. */
  scope: ApiScope | null
  status: 200 | 201 | 204
}

type ParamOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamOf<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

interface Route<
  Path extends string,
  Query extends z.ZodObject,
  Body extends z.ZodObject,
  Answer extends z.ZodType,
> extends RouteText {
  /** Below `/api/v1`, parameters as `:name`. */
  path: Path
  query?: Query
  /** Absent: the operation takes no body. A body whose fields are all optional may be left out. */
  body?: Body
  /** Absent with 204. */
  answer?: Answer
  /** Where an answer may have another status than usual. */
  statusOf?(answer: z.output<Answer>): 200 | 201
  /** Answered instead where the query says `format=markdown`. */
  markdownOf?(answer: z.output<Answer>): string
  run(
    tocsin: Tocsin,
    input: { params: Record<ParamOf<Path>, string>; query: z.output<Query>; body: z.output<Body> },
  ): Promise<z.output<Answer>>
}

/** One operation of the API: the router answers by it, the OpenAPI document is made from it. */
export interface Operation extends RouteText {
  path: string
  query: z.ZodObject
  body: z.ZodObject | undefined
  answer: z.ZodType | undefined
  /** It may also answer 200, where it made nothing. */
  isIdempotent: boolean
  /** Status of this answer. */
  statusOf(answer: unknown): number
  /** Undefined where its answers are JSON only. */
  markdownOf: ((answer: unknown) => string) | undefined
  /** Checks what came in and runs. Throws `invalid_request`. */
  run(
    tocsin: Tocsin,
    input: { params: Record<string, string>; query: URLSearchParams; body: unknown },
  ): Promise<unknown>
}

const Nothing = z.strictObject({})

/** Says an operation once: how it is called, what it takes, what it answers, which use-case it is. */
export function defineRoute<
  const Path extends string,
  Query extends z.ZodObject = typeof Nothing,
  Body extends z.ZodObject = typeof Nothing,
  Answer extends z.ZodType = z.ZodVoid,
>(route: Route<Path, Query, Body, Answer>): Operation {
  const query: z.ZodObject = route.query ?? Nothing
  const body: z.ZodObject | undefined = route.body
  const readQuery = queryReader(query)

  return {
    ...route,
    query,
    body,
    answer: route.answer,
    isIdempotent: route.statusOf !== undefined,
    statusOf: (answer) => route.statusOf?.(answer as z.output<Answer>) ?? route.status,
    markdownOf: route.markdownOf && ((answer) => route.markdownOf!(answer as z.output<Answer>)),
    run: async (tocsin, input) =>
      route.run(tocsin, {
        params: input.params as Record<ParamOf<Path>, string>,
        query: checkInput(query, readQuery(input.query), 'query') as z.output<Query>,
        body: checkInput(body ?? Nothing, input.body, 'body') as z.output<Body>,
      }),
  }
}

/** A router that answers these operations, and 405 at their addresses for every other method. */
export function routeOperations(operations: readonly Operation[], tocsin: OpenedTocsin, log: Log): Router {
  const router = Router({ caseSensitive: true })
  for (const operation of operations) {
    router[operation.method](operation.path, (req, res) => answer(operation, tocsin, log, req, res))
  }

  const paths = Map.groupBy(operations, ({ path }) => path)
  for (const [path, known] of paths) {
    const allow = known.map(({ method }) => method.toUpperCase())
    router.all(path, (req, res) =>
      answerMethodNotAllowed(res, allow, `This address knows ${allow.join(', ')}, not ${req.method}.`),
    )
  }
  return router
}

async function answer(
  operation: Operation,
  tocsin: OpenedTocsin,
  log: Log,
  req: Request<Record<string, string | string[]>>,
  res: Response,
): Promise<void> {
  const startedAt = performance.now()
  const requestId = newRequestId()
  res.setHeader('X-Request-Id', requestId)
  let caller: Caller | undefined
  res.on('close', () => {
    // The route, not the path: what stands in a path may be a secret by mistake.
    log('info', 'api request', {
      requestId,
      route: `${req.method} ${operation.path}`,
      status: res.statusCode,
      ms: Math.round(performance.now() - startedAt),
      key: caller?.keyId,
    })
  })

  const headers = readHeaders(req.rawHeaders)
  caller = await authenticate(tocsin, headers)
  const { bytes, body } = operation.body ? await readBody(req, res, headers) : NO_BODY
  const params = req.params as Record<string, string>
  const run = (tocsin: Tocsin) => operation.run(tocsin, { params, query: queryOf(req), body })

  const key = idempotencyKeyOf(req.method, headers)
  if (key === undefined) {
    const result = await run(tocsin.actingAs(caller))
    if (operation.status === 204) res.status(204).end()
    else if (operation.markdownOf && queryOf(req).get('format') === 'markdown')
      answerMarkdown(res, operation.statusOf(result), operation.markdownOf(result))
    else answerJson(res, operation.statusOf(result), result)
    return
  }

  const write = { method: req.method, url: req.originalUrl, body: bytes, projectId: params.project ?? null }
  const answer = await tocsin.once(caller, onceRequest(key, write), async (useCases) => {
    const result = await run(useCases)
    return {
      status: operation.statusOf(result),
      body: operation.status === 204 ? null : JSON.stringify(result),
    }
  })
  if (answer.replayed) res.setHeader('Idempotency-Replayed', 'true')
  if (answer.body === null) res.status(answer.status).end()
  else answerJsonText(res, answer.status, answer.body)
}

const NO_BODY = { bytes: Buffer.alloc(0), body: {} }

async function authenticate(
  tocsin: OpenedTocsin,
  headers: ReadonlyMap<string, readonly string[]>,
): Promise<Caller> {
  const [line, ...repeats] = headers.get('authorization') ?? []
  if (line === undefined) throw unauthorized('is missing')
  if (repeats.length > 0) throw unauthorized('came more than once')

  const key = /^Bearer +(\S{1,500})$/i.exec(line)?.[1]
  if (key === undefined) throw unauthorized('is not of the form "Bearer <key>"')

  const caller = await tocsin.authenticateKey(key)
  if (!caller) throw unauthorized('holds a key that is unknown or has expired')
  return caller
}

function unauthorized(problem: string): TocsinError {
  return new TocsinError(
    'unauthorized',
    `The header Authorization ${problem}: send Authorization: Bearer <key> with a valid API key.`,
  )
}

async function readBody(
  req: Request<Record<string, string | string[]>>,
  res: Response,
  headers: ReadonlyMap<string, readonly string[]>,
): Promise<{ bytes: Buffer; body: unknown }> {
  const { bytes, refusal, cutOff } = await collectBody(
    req,
    hasBody(headers) ? findHeaderFault(headers) : undefined,
  )
  if (cutOff) res.setHeader('Connection', 'close')
  if (refusal) throw refusal
  if (bytes.length === 0) return NO_BODY

  try {
    // Such a name is refused with the place it stands at.
    return { bytes, body: readJsonBody(bytes, 'ignore') }
  } catch (error) {
    // The API has one code for every body it cannot use.
    if (error instanceof TocsinError) throw new TocsinError('invalid_request', error.message)
    throw error
  }
}

function hasBody(headers: ReadonlyMap<string, readonly string[]>): boolean {
  const length = headers.get('content-length')?.[0]
  return headers.has('transfer-encoding') || (length !== undefined && length !== '0')
}
