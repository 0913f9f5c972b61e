import { isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { TocsinError } from '../errors.ts'

const MAX_DEPTH = 64
/** Every integer with fewer digits than this is exact as a number. */
const UNSAFE_DIGITS = 16

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
