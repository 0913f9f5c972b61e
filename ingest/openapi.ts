import { readFileSync } from 'node:fs'
import { adapterBySlug, adapterSlugs, adapters, type BodyKind } from '@tocsin/core'
import { z } from 'zod'
import { ANSWERED_CODES } from './answer.ts'
import type { Operation } from './define-route.ts'
import { envelopeAt, native } from './envelopes.ts'
import { methodsOf, type WebhookAddress, webhookAddresses } from './routes/webhooks.ts'
import { MessageSchemaList, Received } from './schemas.ts'
import { bodiesByAdapter, dropInExamples, receivedExample } from './webhook-examples.ts'

const ReceivedWithId = z.object({ ...Received.shape, requestId: z.string() }).meta({ id: 'ReceivedWebhook' })

type Json = Record<string, unknown>

export interface OpenApiDocument {
  openapi: '3.1.0'
  info: Json
  servers: Json[]
  security: Json[]
  tags: Json[]
  paths: Record<string, Record<string, Json>>
  components: { schemas: Record<string, unknown>; responses: Json; securitySchemes: Json }
}

const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8')) as {
  version: string
}

/** What the API takes and answers, made from the operations the router answers by. */
export function openApiDocument(operations: readonly Operation[]): OpenApiDocument {
  const schemas: Record<string, unknown> = { Error: errorSchema }
  const paths: OpenApiDocument['paths'] = {}

  const add = (path: string, method: string, operation: Json) => {
    const template = path.replaceAll(/:(\w+)/g, '{$1}')
    paths[template] ??= {}
    paths[template][method] = operation
  }

  for (const address of webhookAddresses) {
    for (const method of ['POST', ...methodsOf(address.adapter)]) {
      add(address.path, method.toLowerCase(), describeAddress(address, method, schemas))
    }
  }
  for (const operation of operations) {
    add(`/api/v1${operation.path}`, operation.method, describeOperation(operation, schemas))
  }
  add(
    '/api/v1/openapi.json',
    'get',
    describeFixed('readOpenApi', 'Read this document', 'An OpenAPI 3.1 document'),
  )
  add('/api/v1/schemas', 'get', {
    ...describeFixed(
      'listMessageSchemas',
      'List the types of messages and when each is sent',
      'All of them',
      jsonSchema(MessageSchemaList, 'output', schemas),
    ),
    tags: ['Messages'],
  })
  add('/api/v1/schemas/{type}.json', 'get', {
    ...describeFixed('readMessageSchema', 'Read the JSON Schema of a type of message', 'With an example'),
    tags: ['Messages'],
    parameters: pathParameters('/:type'),
  })
  add('/healthz', 'get', describeFixed('isAlive', 'Ask whether the process is alive', 'It is'))
  add('/readyz', 'get', {
    ...describeFixed('isReady', 'Ask whether the process may be sent work', 'It may'),
    responses: {
      200: { description: 'It may', content: json({ type: 'object' }) },
      503: { description: 'Not now; `reason` tells why', content: json({ type: 'object' }) },
    },
  })

  return {
    openapi: '3.1.0',
    info: {
      title: 'Tocsin',
      version,
      description:
        'Turns monitoring webhooks into incidents. Errors say which field is wrong and what to send.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    // Relative to where the document was read.
    servers: [{ url: '/', description: 'The server this document comes from' }],
    security: [{ apiKey: [] }],
    tags: TAGS,
    paths,
    components: { schemas, responses: errorResponses, securitySchemes },
  }
}

const TAGS = [
  { name: 'Webhooks', description: 'Where monitoring tools send to' },
  { name: 'Incidents', description: 'What people work on' },
  { name: 'Post-mortems', description: 'What happened, each fact with its evidence' },
  { name: 'Sources', description: 'Monitoring tools that may send, each with its credential and settings' },
  { name: 'Requests', description: 'The log of webhooks received' },
  { name: 'Endpoints', description: 'Where every change of an incident goes, signed' },
  { name: 'Metrics', description: 'Times to acknowledge and to resolve' },
  { name: 'Messages', description: 'What was sent there, with every attempt' },
  { name: 'Projects', description: 'Tenants: each with its own sources, incidents, keys and policy' },
  { name: 'Keys', description: 'Who may call this API and for what' },
  { name: 'Audit', description: 'What assistants have called' },
  { name: 'Process', description: 'For load balancers and machines' },
]

const PARAMETERS: Record<string, string> = {
  project: 'Id of the project',
  source: 'Id of the source',
  request: 'Id of the webhook received',
  incident: 'Id of the incident, or its reference such as INC-042',
  endpoint: 'Id of the endpoint',
  message: 'Id of the message, its `webhook-id`',
  type: 'Such as `incident.opened`',
  key: 'Id of the key',
  plugin: 'Such as `grafana-irm-app`',
  reveal: 'Id of the reveal, from the answer that made the credential',
  projectId: 'Id of the project',
  adapter: 'The tool that sends, such as `generic`, `sentry` or `grafana`',
  token: 'The credential of the source',
}

const idempotencyKey: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
  description:
    'The same key with the same request within 24 hours is answered as before, with `Idempotency-Replayed: true`, and done once; with another request it is a 409',
}

const securitySchemes: Json = {
  apiKey: { type: 'http', scheme: 'bearer', description: 'An API key of the project, or of all projects' },
  sourceSecret: { type: 'http', scheme: 'bearer', description: 'The secret of the source' },
  webhookSecret: { type: 'apiKey', in: 'header', name: 'X-Webhook-Secret' },
  gitpulseKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
}

const errorSchema: Json = {
  type: 'object',
  properties: {
    success: { type: 'boolean', const: false },
    error: {
      type: 'object',
      properties: {
        code: { type: 'string', enum: ANSWERED_CODES },
        message: { type: 'string', description: 'What is wrong and what to send instead' },
      },
      required: ['code', 'message'],
    },
    requestId: { type: 'string' },
  },
  required: ['success', 'error', 'requestId'],
}

const ERROR_TEXTS: Record<string, string> = {
  400: 'A field, a parameter or the body is not what it must be',
  401: 'The credential is missing or wrong, or the project or source unknown',
  403: 'Not with this scope or plan, switched off, or from this address',
  404: 'Does not exist, or belongs to another project',
  405: 'Not by this method; the header `Allow` names those that are taken',
  409: 'Does not go with what is there already',
  413: 'The body is larger than 1 MiB',
  415: 'The body is not JSON, or is compressed',
  429: 'The hour of the plan is full; kept for replay',
  500: 'A fault of ours',
  503: 'Cannot store just now; send it again',
}

const retryAfter: Json = { 'Retry-After': { description: 'Seconds', schema: { type: 'integer' } } }

const HEADERS: Record<string, Json> = {
  405: { Allow: { description: 'Methods', schema: { type: 'string' } } },
  429: retryAfter,
  503: retryAfter,
}

const errorResponses: Json = Object.fromEntries(
  Object.entries(ERROR_TEXTS).map(([status, description]) => [
    `Error${status}`,
    {
      description,
      content: json({ $ref: '#/components/schemas/Error' }),
      ...headersOf(status),
    },
  ]),
)

/** Headers that an error of this status has. */
function headersOf(status: string | number): Json {
  const header = HEADERS[status]
  return header ? { headers: header } : {}
}

function describeAddress(address: WebhookAddress, method: string, schemas: Record<string, unknown>): Json {
  const dropIn = dropInExamples[address.id]
  const description =
    method === 'POST' ? (dropIn?.credential ?? CREDENTIAL_TEXT[address.credential]) : METHOD_TEXT[method]
  const { status, example } = dropIn ?? { status: 200, example: RECEIVED_EXAMPLE }
  const isNative = envelopeAt(address.path) === native
  const schema = isNative ? jsonSchema(ReceivedWithId, 'output', schemas) : { type: 'object' }
  const hasBody = method === 'POST' || method === 'PUT'
  const kinds = kindsAt(address, method)

  return {
    tags: ['Webhooks'],
    summary: address.summary,
    description,
    operationId:
      method === 'POST' ? address.id : `${address.id}By${method[0]}${method.slice(1).toLowerCase()}`,
    security:
      dropIn?.security ??
      (address.credential === 'request' ? [{ webhookSecret: [] }, { apiKey: [] }, {}] : []),
    parameters: [...pathParameters(address.path), ...queryOfAddress(address, method)],
    ...(hasBody && {
      requestBody: {
        required: !kinds.some((kind) => kind === 'none' || kind === 'any'),
        description: dropIn ? 'As it was sent before' : 'What the tool sends, as it sends it',
        content: {
          'application/json': { schema: {}, examples: dropIn?.bodies ?? bodiesByAdapter },
          ...Object.fromEntries(typesOf(kinds).map((type) => [type, { schema: {} }])),
        },
      },
    }),
    responses: {
      [status]: { description: 'Committed to disk', content: json(schema, example) },
      ...(isNative ? errorRefs(400, 401, 403, 405, 413, 415, 429, 503) : errorsAt(address)),
    },
  }
}

/** Kinds of body that tools take at an address by this method. */
function kindsAt({ adapter }: WebhookAddress, method: string): BodyKind[] {
  const tools = adapter === undefined ? adapters : [adapterBySlug(adapter)]
  const taken = tools.filter((tool) => method === 'POST' || tool?.methods?.includes(method))
  return taken.flatMap((tool) => tool?.bodies ?? [])
}

/** Types besides JSON; which tool takes which stands in docs/senders.md. */
function typesOf(kinds: readonly BodyKind[]): string[] {
  return [...new Set(kinds.flatMap((kind) => TYPES[kind]))]
}

const TYPES: Record<BodyKind, string[]> = {
  untyped: ['application/x-www-form-urlencoded'],
  form: ['application/x-www-form-urlencoded'],
  multipart: ['multipart/form-data'],
  text: ['text/plain'],
  none: [],
  any: ['*/*'],
}

/** The errors of an address that answers in another service's shape, each as it is answered there. */
function errorsAt({ path, adapter }: WebhookAddress): Json {
  const found: Json = {}
  for (const [code, status] of REFUSALS) {
    // Only a body that names its project can name a wrong one.
    if (code === 'not_found' && adapter !== 'gitpulse') continue
    const message = code === 'not_found' ? "Project with UUID '…' not found" : `${ERROR_TEXTS[status]}.`
    const refused = envelopeAt(path).refused({ status, code, message, requestId: '', details: undefined })
    found[refused.status] ??= {
      description: ERROR_TEXTS[status],
      content: json({ type: 'object' }, refused.body),
      ...headersOf(status),
    }
  }
  return found
}

const REFUSALS: readonly (readonly [code: string, status: number])[] = [
  ['invalid_payload', 400],
  ['unauthorized', 401],
  ['ingestion_disabled', 403],
  ['not_found', 404],
  ['method_not_allowed', 405],
  ['payload_too_large', 413],
  ['unsupported_media_type', 415],
  ['rate_limited', 429],
  ['unavailable', 503],
]

/** What an address may say besides the body, or in its place. */
function queryOfAddress({ path, adapter }: WebhookAddress, method: string): Json[] {
  const source: Json = {
    name: 'source',
    in: 'query',
    schema: { type: 'string' },
    description: 'Id of the source, where the project has several of this tool',
  }
  const readsFields =
    method === 'POST' &&
    (adapter === undefined || adapterBySlug(adapter)?.ownSettings?.includes('mapping') === true)
  const fields = method === 'GET' ? GET_PARAMETERS : readsFields ? FIELD_PARAMETERS : {}
  const readers = adapter === undefined && readsFields ? ` (sources of ${FIELD_READERS})` : ''
  return [
    ...(adapter !== undefined || path.startsWith('/api/v1/') ? [source] : []),
    ...Object.entries(fields).map(([name, { description, example }]) => ({
      name,
      in: 'query',
      schema: { type: 'string' },
      description: description + readers,
      example,
    })),
  ]
}

const FIELD_READERS = adapters
  .filter(({ ownSettings }) => ownSettings?.includes('mapping'))
  .map(({ slug }) => `\`${slug}\``)
  .join(' and ')

/** What Uptime Kuma says by GET. */
const GET_PARAMETERS: QueryParameters = {
  msg: { description: 'Text of the notification', example: '[Shop] [Down] timeout' },
  heartbeat: {
    description: 'The heartbeat as JSON; absent, or `null`: a test',
    example: '{"monitorID":1,"status":0,"time":"2026-01-15 10:30:00"}',
  },
  monitor: { description: 'The monitor as JSON', example: '{"id":1,"name":"Shop"}' },
}

type QueryParameters = Record<string, { description: string; example: string }>

const FIELD_PARAMETERS: QueryParameters = {
  title: { description: 'Title, or `json(a.b)` for a member of the body', example: 'json(report.title)' },
  description: { description: 'Longer text, or `json(a.b)`', example: 'json(report.text)' },
  severity: {
    description: '`critical`, `major`, `minor`, `pending` or any other word, or `json(a.b)`',
    example: 'critical',
  },
  labels: {
    description: 'Comma list; `k:v` and `k=v` are pairs, a bare word is true; or `json(a.b)`',
    example: 'team:web,customer',
  },
  drill: { description: '`true` or `1` for a try', example: 'true' },
  roomprefix: { description: 'Kept as `metadata.roomPrefix` by `grafana-irm`', example: 'incident' },
  id: {
    description: 'What is wrong, the same from opening to resolving, or `json(a.b)`',
    example: 'json(report.id)',
  },
  action: { description: 'Status word, such as `resolve`, or `json(a.b)`', example: 'trigger' },
  service: { description: 'Affected service, or `json(a.b)`', example: 'checkout' },
}

const METHOD_TEXT: Record<string, string> = {
  PUT: 'Grafana may be set to PUT.',
  GET: 'Uptime Kuma may be set to GET: `msg`, `heartbeat` and `monitor` as parameters.',
  OPTIONS: 'The handshake of CloudEvents: a sender asks with `WebHook-Request-Origin` whether it may send.',
}

const CREDENTIAL_TEXT = {
  request: 'The credential is what the tool sends: its signature, X-Webhook-Secret, bearer or basic.',
  address: 'The token in the address is the credential.',
}

const RECEIVED_EXAMPLE = receivedExample('Checkout is down', 'critical', 'M1')

function describeOperation(operation: Operation, schemas: Record<string, unknown>): Json {
  const { id, method, path, tag, summary, scope, query, body, answer, status, isIdempotent, markdownOf } =
    operation
  const named = path.includes(':') ? [404] : []
  const wrong = [400, ...(body ? [413, 415] : []), ...(method === 'get' ? [] : [409])]

  return {
    tags: [tag],
    summary,
    description: scope === null ? 'Any valid key.' : `Needs the scope \`${scope}\`.`,
    operationId: id,
    parameters: [
      ...pathParameters(path),
      ...queryParameters(query, schemas),
      ...(method === 'get' ? [] : [idempotencyKey]),
    ],
    ...(body && {
      requestBody: {
        required: !body.safeParse({}).success,
        content: json(jsonSchema(body, 'input', schemas)),
      },
    }),
    responses: {
      [status]: {
        description: status === 204 ? 'Done' : status === 201 ? 'Created' : 'As asked',
        ...(answer && {
          content: {
            ...json(jsonSchema(answer, 'output', schemas)),
            ...(markdownOf && { 'text/markdown': { schema: { type: 'string' } } }),
          },
        }),
      },
      ...(isIdempotent &&
        answer && {
          200: {
            description: 'Nothing was made: it was there already, or it is a dry run',
            content: json(jsonSchema(answer, 'output', schemas)),
          },
        }),
      ...errorRefs(...wrong, 401, 403, ...named, 500, 503),
    },
  }
}

function describeFixed(
  operationId: string,
  summary: string,
  description: string,
  schema: unknown = { type: 'object' },
): Json {
  return {
    tags: ['Process'],
    summary,
    operationId,
    security: [],
    responses: { 200: { description, content: json(schema) } },
  }
}

function pathParameters(path: string): Json[] {
  return Array.from(path.matchAll(/:(\w+)/g), ([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', ...(name === 'adapter' && { enum: adapterSlugs }) },
    description: PARAMETERS[name],
  }))
}

function queryParameters(query: z.ZodObject, schemas: Record<string, unknown>): Json[] {
  const { properties = {} } = jsonSchema(query, 'input', schemas)
  return Object.entries(properties as Record<string, Json>).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    description,
    schema,
    // A list is one parameter with commas.
    ...(schema.type === 'array' && { style: 'form', explode: false }),
  }))
}

/** The JSON Schema of a schema; those with an id move to the document's own list. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output', schemas: Record<string, unknown>): Json {
  const {
    $schema: _,
    $defs = {},
    ...rest
  } = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema: made }) => {
      delete made.id
      // Zod's pattern says what the format says, in 300 characters.
      if (made.format === 'date-time') delete made.pattern
      // A later release may answer more members, so a client must not refuse them.
      if (io === 'output' && made.additionalProperties === false) delete made.additionalProperties
    },
  })
  const linked = (value: unknown) =>
    JSON.parse(JSON.stringify(value).replaceAll('#/$defs/', '#/components/schemas/'))
  for (const [id, definition] of Object.entries($defs)) schemas[id] = linked(definition)
  return linked(rest)
}

function errorRefs(...statuses: number[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [status, { $ref: `#/components/responses/Error${status}` }]),
  )
}

function json(schema: unknown, example?: unknown): Json {
  return { 'application/json': { schema, ...(example !== undefined && { example }) } }
}
