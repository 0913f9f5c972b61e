import { isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { TocsinError } from '../errors.ts'
import type { HookRequest } from '../types.ts'
import type { BodyKind } from './adapter.ts'

const MAX_DEPTH = 64
/** Every integer with fewer digits than this is exact as a number. */
const UNSAFE_DIGITS = 16

/** What the headers alone tell against a body, where JSON and these kinds are taken; undefined where nothing. */
export function findHeaderFault(
  headers: ReadonlyMap<string, readonly string[]>,
  bodies: readonly BodyKind[] = [],
): TocsinError | undefined {
  if (bodies.includes('any')) return undefined
  if (headers.has('content-encoding')) {
    return new TocsinError(
      'unsupported_media_type',
      'The header Content-Encoding is not taken: send the body as it is, without compression.',
    )
  }

  const contentType = headers.get('content-type') ?? []
  const mayBeUntyped = bodies.includes('untyped') && !hasAmbientCredential(headers)
  if (contentType.length === 0 && mayBeUntyped) return undefined
  if (contentType.length === 0 && bodies.includes('none') && !announcesBody(headers)) return undefined
  if (contentType.length !== 1 || !isTaken(contentType[0]!, mayBeUntyped ? [...bodies, 'form'] : bodies)) {
    return noJson()
  }
  return undefined
}

/**
 * Whether a browser may have added the credential by itself. A page elsewhere can make it send JSON without a type or as
 * a form, but with the type of JSON only if the server agrees first.
 */
function hasAmbientCredential(headers: ReadonlyMap<string, readonly string[]>): boolean {
  return headers.get('authorization')?.some((value) => /^basic /i.test(value)) === true
}

function noJson(): TocsinError {
  return new TocsinError(
    'unsupported_media_type',
    'The header Content-Type is missing or names no JSON: send Content-Type: application/json, in UTF-8.',
  )
}

function announcesBody(headers: ReadonlyMap<string, readonly string[]>): boolean {
  return headers.has('transfer-encoding') || (headers.get('content-length') ?? ['0']).some((n) => n !== '0')
}

/** `application/json`, `…+json` or one of these kinds, with any parameters but a charset that is not UTF-8. */
function isTaken(contentType: string, bodies: readonly BodyKind[]): boolean {
  const [type = '', ...parameters] = contentType.toLowerCase().split(';')
  const name = type.trim()
  const isKnown =
    /^(application\/json|[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+\+json)$/.test(name) ||
    (name === 'application/x-www-form-urlencoded' && bodies.includes('form')) ||
    (name === 'multipart/form-data' && bodies.includes('multipart')) ||
    (name.startsWith('text/') && bodies.includes('text'))
  return isKnown && parameters.every(isUtf8Parameter)
}

function isUtf8Parameter(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=').map((part) => part.trim())
  return name !== 'charset' || /^"?utf-?8"?$/.test(value)
}

/**
 * The body of a request: JSON, the JSON in a form's `data` or `payload`, or the fields of a form. What calls itself form
 * or text but is written as JSON is read as JSON: templates of monitoring tools often leave the type to chance.
 * A GET has its parameters in place of a body. A promise only where the body is multipart.
 * Throws TocsinError `malformed_body`.
 */
export function readBody(request: HookRequest): unknown {
  const type = request.headers.get('content-type')?.[0]
  if (request.method !== 'GET' && (type === undefined || /json/i.test(type)))
    return readJsonBody(request.rawBody)

  const { rawBody } = request
  if (type !== undefined && /^multipart\/form-data/i.test(type))
    return multipartFields(rawBody, type).then(ofForm)
  const isForm = request.method === 'GET' || /^application\/x-www-form-urlencoded/i.test(type ?? '')
  if (!isForm || isWrittenAsJson(rawBody)) return readJsonBody(rawBody)
  if (!isUtf8(rawBody)) throw malformed('The form is not UTF-8 text: send it encoded as UTF-8.')
  return ofForm([...new URLSearchParams(rawBody.toString('utf8'))])
}

/** JSON whatever its header calls it; a form that is one is refused. Throws TocsinError. */
export function readUntypedBody({ headers, rawBody }: HookRequest): unknown {
  const type = headers.get('content-type')?.[0] ?? ''
  if (/^application\/x-www-form-urlencoded/i.test(type) && !isWrittenAsJson(rawBody)) throw noJson()
  return readJsonBody(rawBody)
}

function isWrittenAsJson(rawBody: Buffer): boolean {
  return /^\s*[{[]/.test(rawBody.toString('latin1', 0, 64))
}

/** The fields of a form; one that wraps the whole body is unwrapped. */
function ofForm(fields: readonly (readonly [string, string])[]): unknown {
  const [only] = fields
  if (only && fields.length === 1 && (only[0] === 'data' || only[0] === 'payload')) {
    return readJsonBody(Buffer.from(only[1]))
  }
  return Object.fromEntries(fields.filter(([name]) => name !== '__proto__' && name !== 'constructor'))
}

/** Text fields of a multipart body; files are left out. */
async function multipartFields(rawBody: Buffer, type: string): Promise<[string, string][]> {
  const form = await new Response(Uint8Array.from(rawBody), { headers: { 'content-type': type } })
    .formData()
    .catch(() => {
      throw malformed('The form cannot be read: send multipart/form-data with the boundary its header names.')
    })
  return [...form].filter((field): field is [string, string] => typeof field[1] === 'string')
}

/**
 * JSON from the bytes of a request. Prototype keys are removed; with `ignore` they stay, for who refuses them by name.
 * A byte order mark of UTF-8 is skipped by the parser.
 * An integer too large for a number arrives as its digits in text. Throws TocsinError `malformed_body`.
 */
export function readJsonBody(rawBody: Buffer, protoAction: 'remove' | 'ignore' = 'remove'): unknown {
  if (rawBody.length === 0) throw malformed('The body is empty: send JSON.')
  if (!isUtf8(rawBody)) throw malformed('The body is not UTF-8 text: send JSON encoded as UTF-8.')

  const text = rawBody.toString('utf8')
  const hasLargeInteger = scan(text)
  try {
    return secureJson.parse(text, hasLargeInteger ? keepLargeIntegers : null, {
      // Removed, not refused: a visitor of the watched app can name Sentry's `extra` keys
      // and must not be able to suppress an alert with one.
      protoAction,
      constructorAction: protoAction,
    })
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    // The engine's message quotes the text, so it is neither repeated nor kept as the cause.
    throw malformed('The body is not valid JSON: check its quotes, commas and brackets.')
  }
}

/**
 * Refuses text nested too deep before anything recursive sees it.
 * Tells whether the text holds an integer a number may not be able to carry.
 */
function scan(text: string): boolean {
  let depth = 0
  let hasLargeInteger = false
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at)
        break
      case 0x7b: // {
      case 0x5b: // [
        if (++depth > MAX_DEPTH)
          throw malformed(`The body is nested deeper than ${MAX_DEPTH} levels: send a flatter one.`)
        break
      case 0x7d: // }
      case 0x5d: // ]
        depth--
        break
      default:
        if (isDigit(text.charCodeAt(at))) {
          const end = endOfDigits(text, at)
          // Digits after a point are a fraction, which a number only rounds.
          if (end - at >= UNSAFE_DIGITS && text[at - 1] !== '.') hasLargeInteger = true
          at = end - 1
        }
    }
  }
  return hasLargeInteger
}

/** Where the closing quote of the string that opens at `open` is; the end of the text where there is none. */
function endOfString(text: string, open: number): number {
  for (let quote = text.indexOf('"', open + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text.charCodeAt(quote - 1 - backslashes) === 0x5c) backslashes++
    if (backslashes % 2 === 0) return quote
  }
  return text.length
}

function endOfDigits(text: string, start: number): number {
  let end = start + 1
  while (isDigit(text.charCodeAt(end))) end++
  return end
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

function keepLargeIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined || Number.isSafeInteger(value)) return value
  return /^-?\d+$/.test(source) ? source : value
}

function malformed(message: string): TocsinError {
  return new TocsinError('malformed_body', message)
}
