import type { HookRequest, MappedField, SourceSettings } from '../types.ts'
import { isObject } from './clean.ts'

const MAX_LENGTH = 2_000
const JSON_PATH = /^json\(([^)]*)\)$/

/**
 * What the address or the source's mapping says about a field: `title=json(report.title)` reads the body,
 * any other text is the value itself. Undefined where neither names the field or the body has no such member.
 */
export function readParameter(
  name: MappedField,
  body: unknown,
  request: HookRequest,
  settings: SourceSettings,
): unknown {
  const given = request.query.get(name) ?? mapped(settings.mapping, name)
  if (given === null || given.length > MAX_LENGTH) return undefined

  const path = JSON_PATH.exec(given)?.[1]
  return path === undefined ? given : valueAt(body, path.split('.'))
}

/** Whether a value says yes. */
export function readFlag(value: unknown): boolean {
  return value === true || value === 1 || (typeof value === 'string' && /^(true|1)$/i.test(value.trim()))
}

function mapped(mapping: SourceSettings['mapping'], name: MappedField): string | null {
  return mapping !== null && Object.hasOwn(mapping, name) ? (mapping[name] ?? null) : null
}

function valueAt(body: unknown, path: string[]): unknown {
  let value = body
  for (const name of path.map((part) => part.trim())) {
    if (Array.isArray(value) && /^\d+$/.test(name)) value = value[Number(name)]
    else if (isObject(value) && Object.hasOwn(value, name)) value = value[name]
    else return undefined
  }
  return value
}
