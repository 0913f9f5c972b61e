import { TocsinError } from '@tocsin/core'
import { z } from 'zod'

type Where = 'body' | 'query'

// Enough to mend a request in one go, without echoing a whole payload.
const NAMED_FAULTS = 3
const NAMED_KEYS = 5

/** The value as the schema reads it. Throws `invalid_request` that names field, problem and remedy. */
export function checkInput<Schema extends z.ZodObject>(
  schema: Schema,
  value: unknown,
  where: Where,
): z.output<Schema> {
  // A query with it is refused as unknown, like any other.
  const place = where === 'body' ? placeOfProto(value, schema) : undefined
  if (place) {
    throw new TocsinError('invalid_request', `${nameOf(place, where)} cannot have that name: choose another.`)
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data

  const faults = result.error.issues.slice(0, NAMED_FAULTS)
  throw new TocsinError('invalid_request', faults.map((issue) => describe(issue, where, schema)).join(' '))
}

/** Where a field is called `__proto__`, which would be dropped silently. What may be anything is handed on whole. */
function placeOfProto(value: unknown, schema: z.ZodObject): PropertyKey[] | undefined {
  const places: { value: unknown; path: PropertyKey[] }[] = [{ value, path: [] }]
  for (const { value, path } of places) {
    if (typeof value !== 'object' || value === null) continue
    if (Object.hasOwn(value, '__proto__')) return [...path, '__proto__']
    for (const [name, inner] of Object.entries(value)) {
      const isAnything = path.length === 0 && schema.shape[name] instanceof z.ZodUnknown
      if (typeof inner === 'object' && !isAnything) places.push({ value: inner, path: [...path, name] })
    }
  }
  return undefined
}

/**
 * Turns query text into values, by what the schema wants: `a,b` into a list, digits into a number, true and false
 * into a boolean. What does not fit stays text, for `checkInput` to refuse.
 */
export function queryReader(schema: z.ZodObject): (query: URLSearchParams) => Record<string, unknown> {
  const properties = z.toJSONSchema(schema, { io: 'input' }).properties ?? {}

  return (query) => {
    // Without a prototype, so that a parameter may be called `__proto__`.
    const values: Record<string, unknown> = Object.create(null)
    for (const [name, text] of query) {
      if (name in values) throw twice(name)
      values[name] = readText(text, Object.hasOwn(properties, name) ? properties[name] : undefined)
    }
    return values
  }
}

function readText(text: string, wanted: z.core.JSONSchema._JSONSchema | undefined): unknown {
  if (typeof wanted !== 'object') return text
  if (wanted.type === 'array') {
    const items = Array.isArray(wanted.items) ? undefined : wanted.items
    return text.split(',').map((part) => readText(part.trim(), items))
  }
  if (wanted.type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text)
  if (wanted.type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function twice(name: string): TocsinError {
  return new TocsinError(
    'invalid_request',
    `Query parameter "${cut(name)}" is given twice: give it once, several values as a comma list.`,
  )
}

function describe(issue: z.core.$ZodIssue, where: Where, schema: z.ZodObject): string {
  const field = nameOf(issue.path, where)

  switch (issue.code) {
    case 'unrecognized_keys': {
      const kind = where === 'body' ? 'field' : 'query parameter'
      const keys = issue.keys.slice(0, NAMED_KEYS).map((key) => `"${cut(key)}"`)
      const place = issue.path.length > 0 ? ` in ${field}` : ''
      const known = fieldsAt(schema, issue.path)
      const remedy = known.length > 0 ? `known are ${known.join(', ')}` : 'leave it out'
      return `Unknown ${kind} ${keys.join(', ')}${place}: ${remedy}.`
    }
    case 'invalid_key':
      return `${field} cannot have that name: choose another.`
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? `${field} is missing: it must be ${article(issue.expected)}.`
        : `${field} must be ${article(issue.expected)}.`
    case 'invalid_value':
      return `${field} must be one of ${issue.values.map(String).join(', ')}.`
    case 'too_small':
      return `${field} ${issue.origin === 'number' || issue.origin === 'int' ? `must be at least ${issue.minimum}` : `needs at least ${issue.minimum} ${unit(issue)}`}.`
    case 'too_big':
      return `${field} ${issue.origin === 'number' || issue.origin === 'int' ? `must be at most ${issue.maximum}` : `takes at most ${issue.maximum} ${unit(issue)}`}.`
    case 'invalid_format':
      return issue.format === 'datetime'
        ? `${field} must be an ISO 8601 time with zone such as 2026-11-21T08:00:00Z.`
        : `${field} ${issue.message}.`
    case 'custom':
      return `${field} ${issue.message}.`
    default:
      return `${field} is not valid.`
  }
}

/** The fields of the object at that place; none where the schema has alternatives. */
function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable)
    return fieldsAt(schema.unwrap(), path)
  if (!(schema instanceof z.ZodObject)) return []
  const [name, ...rest] = path
  if (name === undefined) return Object.keys(schema.shape)
  const field = Object.hasOwn(schema.shape, name) ? schema.shape[String(name)] : undefined
  return field ? fieldsAt(field, rest) : []
}

/** `settings.cidrs[0]`. */
function nameOf(path: readonly PropertyKey[], where: Where): string {
  if (path.length === 0) return where === 'body' ? 'The body' : 'The query'
  const name = path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${cut(String(part))}`))
    .join('')
    .slice(1)
  return where === 'body' ? `Field "${name}"` : `Query parameter "${name}"`
}

function unit(issue: { origin: string; minimum?: unknown; maximum?: unknown }): string {
  const one = Number(issue.minimum ?? issue.maximum) === 1
  const word = issue.origin === 'string' ? 'character' : issue.origin === 'array' ? 'entr' : 'field'
  if (word === 'entr') return one ? 'entry' : 'entries'
  return one ? word : `${word}s`
}

function article(type: string): string {
  if (type === 'int') return 'a whole number'
  if (type === 'boolean') return 'true or false'
  if (type === 'record') return 'an object'
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
