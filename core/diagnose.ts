import type { Adapter } from './adapters/adapter.ts'
import { isObject } from './adapters/clean.ts'
import { readJsonBody } from './adapters/read-body.ts'
import { readTime } from './adapters/read-time.ts'
import { adapterBySlug } from './adapters/registry.ts'
import { hmacSha256, sameText } from './adapters/signatures.ts'
import type { KnownSource } from './directory.ts'
import type { HookRequest } from './types.ts'

/**
 * Why a request was refused, for the owner of the source. Pure, and bounded in what it tries. Runs after the answer was
 * given and its text goes to the request log alone, so that a stranger learns nothing; it never holds a secret.
 */

/** What is tried, at most: a stranger decides how often this runs. */
const MOST_SOURCES = 10
const MOST_CREDENTIALS = 3
const MOST_HEADERS = 40
const MOST_BYTES = 256 * 1024

/** Where a request of a stranger was sent. */
export interface StrangerContext {
  sources: readonly KnownSource[]
  /** The source it asked for, by address; undefined where the project has none of that adapter. */
  asked: KnownSource | undefined
  /** Name of the adapter in the address; null where the address names none. */
  adapter: string | null
  /** The token of a token address. */
  token: string | null
  /** The whole body is there, so that a signature over it can be checked. */
  isWhole: boolean
}

export interface Diagnosis {
  /** The source whose owner should see it; undefined where there is none to tell. */
  source: KnownSource | undefined
  text: string | null
}

/** Why no credential vouches for a request. */
export function diagnoseStranger(request: HookRequest, context: StrangerContext): Diagnosis {
  const { asked, token } = context
  const sources = context.sources.slice(0, MOST_SOURCES)
  if (token !== null) return diagnoseToken(sources, asked, token, context.adapter)

  const mayBeSigned = context.isWhole && request.rawBody.length <= MOST_BYTES
  const elsewhere = mayBeSigned ? ownerElsewhere(request, sources, asked) : undefined
  if (!asked) {
    if (!elsewhere) return { source: undefined, text: null }
    return { source: elsewhere, text: wrongAddress(elsewhere, context.adapter) }
  }
  const text =
    repeatedHeader(request, asked) ??
    (mayBeSigned ? otherReading(request, asked) : null) ??
    misplaced(request, asked) ??
    (elsewhere ? wrongAddress(elsewhere, asked.adapter.slug) : null) ??
    apiKey(request) ??
    foreignBody(request, asked.adapter) ??
    nothingSent(request, asked)
  return { source: asked, text }
}

/** Why a request that a source vouched for was refused; null where the refusal says it all. */
export function diagnoseRefusal(code: string, request: HookRequest, source: KnownSource): string | null {
  if (code === 'ip_not_allowed') return notInList(request, source)
  if (code === 'invalid_payload') return foreignBody(request, source.adapter)
  return null
}

// ---- tokens ----

function diagnoseToken(
  sources: readonly KnownSource[],
  asked: KnownSource | undefined,
  token: string,
  adapter: string | null,
): Diagnosis {
  const owner = sources.find(
    (source) => source.address === 'token' && secretsOf(source).some((secret) => sameText(secret, token)),
  )
  if (!owner) return { source: asked, text: null }
  const isOld = owner.credentials.slice(1).some(({ secret }) => sameText(secret, token))
  if (isOld) {
    return { source: owner, text: 'It came to the previous address of the source. Paste the current one.' }
  }
  return { source: owner, text: wrongAddress(owner, adapter) }
}

function wrongAddress(owner: KnownSource, adapter: string | null): string {
  // A name that is none may be the secret itself, pasted one place too far.
  const place = adapter !== null && adapterBySlug(adapter) ? adapter : 'another source'
  return `Its credential is that of the source "${owner.name}" (${owner.adapter.slug}), but it came to an address of ${place}. Paste the address of that source.`
}

/** Another source whose credential vouches for the request. */
function ownerElsewhere(
  request: HookRequest,
  sources: readonly KnownSource[],
  asked: KnownSource | undefined,
): KnownSource | undefined {
  return sources.find(
    (source) =>
      source !== asked &&
      source.address === 'project' &&
      secretsOf(source).some((secret) => source.adapter.verify(request, secret, source.settings)),
  )
}

// ---- the right secret, read otherwise ----

interface Reading {
  request?: HookRequest
  secret?: (secret: string) => string
  settings?: KnownSource['settings']
  says: string
}

const SECRET_READINGS: Reading[] = [
  {
    secret: (secret) => `${secret}\n`,
    says: 'It matches if the trailing newline of the secret is removed: the sender uses the secret with a newline at its end. Paste it there again without.',
  },
  {
    secret: (secret) => `${secret}\r\n`,
    says: 'It matches if the trailing newline of the secret is removed: the sender uses the secret with CR and LF at its end. Paste it there again without.',
  },
  {
    secret: (secret) => `${secret} `,
    says: 'It matches if the trailing space of the secret is removed. Paste the secret into the sender again without.',
  },
  {
    secret: (secret) => ` ${secret}`,
    says: 'It matches if the leading space of the secret is removed. Paste the secret into the sender again without.',
  },
  {
    secret: (secret) => `"${secret}"`,
    says: 'It matches if the quotes around the secret are removed. Paste the secret into the sender again without.',
  },
]

function otherReading(request: HookRequest, source: KnownSource): string | null {
  const [current, ...others] = secretsOf(source)
  if (others.some((secret) => source.adapter.verify(request, secret, source.settings))) {
    return 'It is signed with the previous secret, which is no longer valid. Give the sender the current one.'
  }
  if (current === undefined) return null
  const match = [...SECRET_READINGS, ...bodyReadings(request), ...timeReadings(request, source)].find(
    (reading) =>
      source.adapter.verify(
        reading.request ?? request,
        reading.secret?.(current) ?? current,
        reading.settings ?? source.settings,
      ),
  )
  return match?.says ?? null
}

/** A proxy that reads JSON and writes it again changes what was signed. */
function bodyReadings(request: HookRequest): Reading[] {
  const text = request.rawBody.toString('utf8')
  const parsed = parsedBody(request)
  const withBody = (body: string): HookRequest => ({ ...request, rawBody: Buffer.from(body) })
  const reserialised = {
    says: 'It matches over the body parsed and serialised again: something between the sender and here rewrites the JSON, or the sender signs another text than it sends. The bytes that were signed must arrive unchanged.',
  }
  const ends = {
    says: 'It matches but for a newline at the end of the body: the bytes that were signed must arrive unchanged.',
  }
  return [
    ...(parsed === undefined
      ? []
      : [
          { ...reserialised, request: withBody(JSON.stringify(parsed)) },
          { ...reserialised, request: withBody(JSON.stringify(parsed, null, 2)) },
        ]),
    { ...ends, request: withBody(text.replace(/\r?\n$/, '')) },
    { ...ends, request: withBody(`${text}\n`) },
  ]
}

/** Where a time is signed: a clock that goes wrong, a time the source does not look for, one that is missing. */
function timeReadings(request: HookRequest, { settings }: KnownSource): Reading[] {
  const { timestampHeader } = settings
  if (timestampHeader === null) {
    return headersOf(request)
      .filter(({ value }) => /^\d{10}$/.test(value))
      .slice(0, 3)
      .map(({ name, value }) => ({
        request: { ...request, receivedAt: readTime(value) ?? request.receivedAt },
        settings: { ...settings, timestampHeader: name },
        says: `It matches with the time in the header ${name} signed as well: set settings.timestampHeader to "${name}".`,
      }))
  }
  const signedAt = readTime(request.headers.get(timestampHeader.toLowerCase())?.[0])
  const bodyAlone = {
    settings: { ...settings, timestampHeader: null },
    says: `It matches over the body alone, without the time: set the timestamp header "${timestampHeader}" in the sender, or settings.timestampHeader to null.`,
  }
  if (signedAt === null) return [bodyAlone]
  const minutes = Math.round((Date.parse(signedAt) - Date.parse(request.receivedAt)) / 60_000)
  const clock = `clock ${Math.abs(minutes)} minutes ${minutes < 0 ? 'behind' : 'ahead of'} ours`
  return [
    {
      request: { ...request, receivedAt: signedAt },
      says: `It is right but for its time: the sender's ${clock}, or it was held back on its way. Set the clocks by NTP.`,
    },
    bodyAlone,
  ]
}

// ---- the right credential in the wrong place ----

function repeatedHeader(request: HookRequest, { adapter, settings }: KnownSource): string | null {
  const name = adapter
    .credentialHeaders(settings)
    .find((header) => (request.headers.get(header.toLowerCase())?.length ?? 0) > 1)
  return name === undefined ? null : `The header ${name} came more than once. Send it once.`
}

function misplaced(request: HookRequest, source: KnownSource): string | null {
  const wanted = source.adapter.credentialHeaders(source.settings).join(', ')
  const [secret] = secretsOf(source)
  if (secret === undefined) return null

  for (const [name, value] of [...request.query].slice(0, MOST_HEADERS)) {
    if (sameText(value, secret)) {
      return `The secret came in the query parameter "${shown(name)}"; this source takes it in ${wanted}. Addresses stand in logs: rotate the secret.`
    }
  }
  const digest = request.rawBody.length <= MOST_BYTES ? hmacSha256(request.rawBody, secret) : null
  for (const { name, value } of headersOf(request)) {
    const bare = value.replace(/^(bearer|basic|token)\s+/i, '')
    if (sameText(value, secret) || sameText(bare, secret) || sameText(basicPassword(bare), secret)) {
      return `The secret itself came in the header ${name}; this source takes ${isSigned(source) ? 'a signature made with it' : 'it'} in ${wanted}.`
    }
    const signature = value.replace(/^(sha256|v1)=/i, '')
    const isHex = digest !== null && sameText(signature.toLowerCase(), digest)
    const isBase64 = digest !== null && sameText(signature, Buffer.from(digest, 'hex').toString('base64'))
    if (isHex || isBase64) {
      return `A right signature came in the header ${name}${isBase64 ? ' as base64' : ''}; this source takes it in ${wanted}, as 64 lower-case hex digits alone.`
    }
  }
  return null
}

/** Whether the secret itself is no credential. */
function isSigned({ adapter, settings }: KnownSource): boolean {
  return !adapter.credentialHeaders(settings).some((name) => /authorization|secret/i.test(name))
}

function apiKey(request: HookRequest): string | null {
  const found = headersOf(request).find(({ value }) => /(^|\s)tocsin_[A-Za-z0-9_-]{20,}$/.test(value))
  return found
    ? `An API key came in the header ${found.name}, and it is no credential here. Send the secret of the source; only generic sources take a key, in Authorization, with the scope events:write.`
    : null
}

function nothingSent(request: HookRequest, { adapter, settings }: KnownSource): string | null {
  const wanted = adapter.credentialHeaders(settings)
  if (wanted.some((name) => request.headers.get(name.toLowerCase())?.some((value) => value !== '')))
    return null
  return `It carried no credential: none of the headers ${wanted.join(', ')} holds anything. Set one up in the sender.`
}

// ---- another tool's body ----

/** Marks of a body by which its tool is known, the most particular first. */
const MARKS: [adapter: string, is: (body: Record<string, unknown>) => boolean][] = [
  ['cloudevents', (body) => 'specversion' in body && 'source' in body],
  ['pagerduty', (body) => isObject(body.event) && 'event_type' in body.event],
  ['pagerduty-events', (body) => 'routing_key' in body && 'event_action' in body],
  ['uptime-kuma', (body) => 'heartbeat' in body && 'monitor' in body],
  ['gitpulse', (body) => 'project_uuid' in body && 'incident_id' in body],
  [
    'betterstack',
    (body) => isObject(body.data) && body.data.type === 'incident' && 'attributes' in body.data,
  ],
  ['sentry', (body) => isObject(body.event) && 'project_slug' in body],
  [
    'sentry',
    ({ data }) => isObject(data) && ['issue', 'event', 'error', 'metric_alert'].some((name) => name in data),
  ],
  ['grafana', (body) => Array.isArray(body.alerts) && ('orgId' in body || 'state' in body)],
  ['grafana', (body) => 'ruleId' in body && 'evalMatches' in body],
  ['alertmanager', (body) => Array.isArray(body.alerts) && 'groupKey' in body],
]

/** These two read each other's bodies. */
const ALIKE = ['grafana', 'alertmanager']

function foreignBody(request: HookRequest, adapter: Adapter): string | null {
  const body = parsedBody(request)
  const tool = request.headers.has('sentry-hook-resource')
    ? 'sentry'
    : isObject(body)
      ? MARKS.find(([, is]) => is(body))?.[0]
      : undefined
  if (tool === undefined || tool === adapter.slug) return null
  if (ALIKE.includes(tool) && ALIKE.includes(adapter.slug)) return null
  return `This looks like a body of ${tool} but came to the address of ${adapter.slug}. Make a source with the adapter ${tool} and paste its address.`
}

// ---- addresses ----

function notInList({ ip, headers }: HookRequest, { settings: { cidrs } }: KnownSource): string {
  const list = `${cidrs.slice(0, 5).join(', ')}${cidrs.length > 5 ? ', …' : ''}`
  const proxied = headers.has('x-forwarded-for')
    ? ' It names another sender in X-Forwarded-For: if the address is that of your own proxy, name it in TOCSIN_TRUST_PROXY.'
    : ''
  return `The address ${ip ?? 'unknown'} is in none of ${list}. Add it to settings.cidrs if it is the sender's.${proxied}`
}

// ---- helpers ----

/** Current first, then the one before. */
function secretsOf(source: KnownSource): string[] {
  return source.credentials.slice(0, MOST_CREDENTIALS).map(({ secret }) => secret)
}

function headersOf(request: HookRequest): { name: string; value: string }[] {
  return [...request.headers]
    .slice(0, MOST_HEADERS)
    .map(([name, values]) => ({ name: shown(name), value: values[0]?.trim() ?? '' }))
    .filter(({ value }) => value.length <= 1_000)
}

function basicPassword(encoded: string): string {
  const pair = Buffer.from(encoded, 'base64').toString('utf8')
  return pair.slice(pair.indexOf(':') + 1)
}

function parsedBody(request: HookRequest): unknown {
  if (request.rawBody.length > MOST_BYTES) return undefined
  try {
    return readJsonBody(request.rawBody)
  } catch {
    return undefined
  }
}

function shown(name: string): string {
  return name.slice(0, 60)
}
