import type { Adapter } from './adapters/adapter.ts'
import { isObject } from './adapters/clean.ts'
import { readJsonBody } from './adapters/read-body.ts'
import { readTime } from './adapters/read-time.ts'
import { adapterBySlug } from './adapters/registry.ts'
import { hmacSha256, sameText } from './adapters/signatures.ts'
import type { KnownSource } from './directory.ts'
import { NO_SETTINGS } from './policy.ts'
import { bareAddress } from './sender-address.ts'
import type { HookRequest } from './types.ts'

/**
 * Why a request was refused, for the owner of the source. Pure, and bounded in what it tries. Runs after the answer was
 * given and its text goes to the request log alone, so that a stranger learns nothing; it never holds a secret.
 */

/** What is tried, at most: a stranger decides how often this runs. */
const MOST_TRIES = 200
const MOST_HASHED_BYTES = 4 * 1024 * 1024
/** Sources whose secret is looked for in other places and forms. */
const MOST_READ = 20
const MOST_HEADERS = 40
const MOST_BYTES = 256 * 1024

/** Where a request of a stranger was sent. */
export interface StrangerContext {
  sources: readonly KnownSource[]
  /** Those the address leads to. */
  candidates: readonly KnownSource[]
  /** It asked for a source that is not there, at an address that has others. */
  asksForUnknown?: boolean
  /** Name of the adapter in the address; null where the address names none. */
  adapter: string | null
  /** The token of a token address. */
  token: string | null
  /** The whole body is there, so that a signature over it can be checked. */
  isWhole: boolean
  /** Scopes, in this project, of the API key it carries; null where that is none, or none that counts here. */
  keyScopes: readonly string[] | null
}

export interface Diagnosis {
  /** The source that is meant; null where the address has several and nothing tells which. */
  source: KnownSource | null
  text: string | null
}

/** Why no credential vouches for a request; undefined where there is no owner to tell. */
export function diagnoseStranger(request: HookRequest, context: StrangerContext): Diagnosis | undefined {
  const { sources, candidates, token, adapter } = context
  if (token !== null) return diagnoseToken(sources, token, adapter)

  const repeated = repeatedHeader(request, candidates)
  const vouches = boundedly(request, context.isWhole && repeated === null)
  const meant =
    holderOfPrevious(candidates, vouches) ??
    (repeated === null ? holderOtherwise(request, candidates, vouches) : undefined)
  if (meant) return meant

  const elsewhere = ownerElsewhere(request, context, vouches)
  const [first, ...others] = candidates
  if (!first) {
    if (elsewhere) return { source: elsewhere, text: wrongAddress(elsewhere, adapter) }
    return context.asksForUnknown ? { source: null, text: UNKNOWN_SOURCE } : undefined
  }
  const text =
    repeated ??
    (elsewhere ? wrongAddress(elsewhere, first.adapter.slug) : null) ??
    apiKey(request, first.adapter, context.keyScopes) ??
    foreignBody(request, first.adapter) ??
    nothingSent(request, candidates)
  return { source: others.length === 0 ? first : null, text }
}

const UNKNOWN_SOURCE =
  'Its address asks with ?source= for a source that is not there. Paste the address of a source that is.'

/** Why a request that a source vouched for was refused; null where the refusal says it all. */
export function diagnoseRefusal(code: string, request: HookRequest, source: KnownSource): string | null {
  if (code === 'ip_not_allowed') return notInList(request, source)
  if (code === 'invalid_payload') return foreignBody(request, source.adapter)
  return null
}

// ---- whose credential it is ----

/** Whether a secret of a source vouches for the request, perhaps changed. */
type Vouches = (source: KnownSource, secret: string, reading?: Omit<Reading, 'says' | 'secret'>) => boolean

/** Says no once too much was tried. */
function boundedly(request: HookRequest, mayBeRight: boolean): Vouches {
  const affordable = Math.floor(MOST_HASHED_BYTES / Math.max(1, request.rawBody.length))
  let left = mayBeRight ? Math.min(MOST_TRIES, affordable) : 0
  return (source, secret, reading = {}) => {
    if (left <= 0) return false
    left -= 1
    return source.adapter.verify(reading.request ?? request, secret, reading.settings ?? source.settings)
  }
}

function holderOfPrevious(candidates: readonly KnownSource[], vouches: Vouches): Diagnosis | undefined {
  for (const source of candidates) {
    const index = source.credentials.findIndex(({ secret }, at) => at > 0 && vouches(source, secret))
    if (index < 0) continue
    const did = isSigned(source) ? 'is signed with' : 'carries'
    const text = `It ${did} the previous secret, rotated out at ${rotatedOutAt(source, index)}. Give the sender the current one.`
    return { source, text }
  }
  return undefined
}

function diagnoseToken(
  sources: readonly KnownSource[],
  token: string,
  adapter: string | null,
): Diagnosis | undefined {
  for (const source of sources) {
    if (source.address !== 'token') continue
    const index = source.credentials.findIndex(({ secret }) => sameText(secret, token))
    if (index < 0) continue
    const text =
      index === 0
        ? wrongAddress(source, adapter)
        : `It came to the previous address of the source, rotated out at ${rotatedOutAt(source, index)}. Paste the current one.`
    return { source, text }
  }
  return undefined
}

/** When an older credential stopped to count. Without an overlap it is stored as if it had never begun to. */
function rotatedOutAt({ credentials }: KnownSource, index: number): string {
  const replacedAt = credentials[index - 1]?.createdAt ?? ''
  const expiresAt = credentials[index]?.expiresAt ?? ''
  return `${(expiresAt > replacedAt ? expiresAt : replacedAt).slice(0, 'YYYY-MM-DDTHH:MM:SS'.length)}Z`
}

/** Another source whose credential vouches for the request. */
function ownerElsewhere(
  request: HookRequest,
  { sources, candidates }: StrangerContext,
  vouches: Vouches,
): KnownSource | undefined {
  return sources.find(
    (source) =>
      source.address === 'project' &&
      !candidates.includes(source) &&
      source.credentials.some(
        ({ secret, expiresAt }) =>
          (expiresAt === null || expiresAt > request.receivedAt) && vouches(source, secret),
      ),
  )
}

function wrongAddress(owner: KnownSource, adapter: string | null): string {
  // A name that is none may be the secret itself, pasted one place too far.
  const place = adapter !== null && adapterBySlug(adapter) ? adapter : 'another source'
  return `Its credential is that of the source "${owner.name}" (${owner.adapter.slug}), but it came to an address of ${place}. Paste the address of that source.`
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

/** The source whose current secret vouches for the request once something is read otherwise. */
function holderOtherwise(
  request: HookRequest,
  candidates: readonly KnownSource[],
  vouches: Vouches,
): Diagnosis | undefined {
  const ofBody = bodyReadings(request)
  for (const source of candidates.slice(0, MOST_READ)) {
    const secret = source.credentials[0]?.secret
    if (secret === undefined) continue
    const match = [...SECRET_READINGS, ...ofBody, ...timeReadings(request, source)].find((reading) =>
      vouches(source, reading.secret?.(secret) ?? secret, reading),
    )
    const text = match?.says ?? misplaced(request, source, secret)
    if (text !== null) return { source, text }
  }
  return undefined
}

/** A proxy that reads JSON and writes it again changes what was signed. */
function bodyReadings(request: HookRequest): Reading[] {
  if (request.rawBody.length > MOST_BYTES) return []
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

function repeatedHeader(request: HookRequest, candidates: readonly KnownSource[]): string | null {
  const name = headersFor(candidates).find(
    (header) => (request.headers.get(header.toLowerCase())?.length ?? 0) > 1,
  )
  return name === undefined ? null : `The header ${name} came more than once. Send it once.`
}

function misplaced(request: HookRequest, source: KnownSource, secret: string): string | null {
  const takenIn = headersFor([source]).map((name) => name.toLowerCase())
  const wanted = headersFor([source]).join(', ')
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
      const form = signatureForm(request, source, secret)
      if (takenIn.includes(name)) {
        return `The signature in the header ${name} is right but written ${isBase64 ? 'as base64' : 'in another form'}: send it as ${form}.`
      }
      return `A right signature came in the header ${name}${isBase64 ? ' as base64' : ''}; this source takes it in ${wanted}, as ${form}.`
    }
  }
  return null
}

/** How the tool writes a right signature. */
function signatureForm(request: HookRequest, { adapter, settings }: KnownSource, secret: string): string {
  const value = `v1=${hmacSha256(request.rawBody, secret)}`
  const headers = new Map(adapter.credentialHeaders(settings).map((name) => [name.toLowerCase(), [value]]))
  return adapter.verify({ ...request, headers }, secret, settings)
    ? 'v1= and 64 lower-case hex digits'
    : '64 lower-case hex digits alone'
}

/** Whether the secret itself is no credential. */
function isSigned({ adapter, settings }: KnownSource): boolean {
  const names = adapter.credentialHeaders(settings)
  return names.length > 0 && !names.some((name) => /authorization|secret|key/i.test(name))
}

/** An API key and the header it came in. */
export function findApiKey(request: HookRequest): { name: string; key: string } | undefined {
  for (const { name, value } of headersOf(request)) {
    const key = /(?:^|\s)(tocsin_[A-Za-z0-9_-]{20,})$/.exec(value)?.[1]
    if (key !== undefined) return { name, key }
  }
  return undefined
}

function apiKey(request: HookRequest, adapter: Adapter, scopes: readonly string[] | null): string | null {
  const found = findApiKey(request)
  if (!found) return null
  const came = `An API key came in the header ${found.name}`
  const place = keyHeader(adapter)
  if (place === null) {
    return `${came}, and it is no credential here. Send the secret of the source; only generic and gitpulse sources take a key, with the scope events:write.`
  }
  if (found.name !== place) return `${came}; this source takes one in ${place}, or its own secret.`
  if (scopes === null)
    return `${came}, but it is unknown, revoked or of another project. Send another, or the secret of the source.`
  return `${came}, but it lacks the scope events:write. Send one that has it, or the secret of the source.`
}

/** The header in which sources of a tool take an API key; null where they take none (design.md 5). */
function keyHeader({ slug, dropIn, credentialHeaders }: Adapter): string | null {
  if (slug === 'generic') return 'authorization'
  return dropIn?.takesApiKey ? (credentialHeaders(NO_SETTINGS)[0] ?? null) : null
}

function nothingSent(request: HookRequest, candidates: readonly KnownSource[]): string | null {
  const wanted = headersFor(candidates)
  if (wanted.some((name) => request.headers.get(name.toLowerCase())?.some((value) => value !== '')))
    return null
  if (wanted.length === 0) return null
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
  const forwarded = headers.get('x-forwarded-for')
  // An address that stands there itself was believed: the proxy is trusted already.
  const proxied =
    forwarded &&
    !forwarded
      .join(',')
      .split(',')
      .some((entry) => bareAddress(entry) === ip)
      ? ' It names another sender in X-Forwarded-For: if the address is that of your own proxy, name it in TOCSIN_TRUST_PROXY.'
      : ''
  return `The address ${ip ?? 'unknown'} is in none of ${list}. Add it to settings.cidrs if it is the sender's.${proxied}`
}

// ---- helpers ----

/** Headers in which any of these takes a credential. */
function headersFor(sources: readonly KnownSource[]): string[] {
  return [...new Set(sources.flatMap(({ adapter, settings }) => adapter.credentialHeaders(settings)))]
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
