import type { HookRequest, MappedField, SourceSettings } from '../types.ts'
import { isObject } from './clean.ts'

const JSON_PATH = /^json\(([^)]*)\)$/
/** Meant as a path, whatever is wrong with it: nobody calls an incident so. */
const LIKE_A_PATH = /^\s*json\s*\(/i

const FIELDS: readonly string[] = [
  'title',
  'description',
  'id',
  'action',
  'severity',
  'service',
  'labels',
  'drill',
  'roomprefix',
] satisfies MappedField[]

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
  if (given === null) return undefined

  const path = JSON_PATH.exec(given)?.[1]
  return path === undefined ? given : valueAt(body, path.split('.'))
}

/** Whether the address or the mapping says anything of an event. */
export function saysFields({ query }: HookRequest, { mapping }: SourceSettings): boolean {
  return mapping !== null || [...query.keys()].some((name) => FIELDS.includes(name))
}

/** Whether a text looks like a path into the body, but is none that is read. */
export function isBrokenPath(text: string): boolean {
  return LIKE_A_PATH.test(text) && !JSON_PATH.test(text)
}

/**
 * What the owner should know of an address whose parameters hold a broken path. As a sender cannot be asked to mend it
 * while something is down, it counts as the value itself (design.md 5: it still declares).
 */
export function remarkOn({ query }: HookRequest): string | undefined {
  const broken = [...query].filter(([name, value]) => FIELDS.includes(name) && isBrokenPath(value))
  if (broken.length === 0) return undefined
  const names = [...new Set(broken.map(([name]) => name))].join(', ')
  return `In the address, ${names} looks like a path into the body but is none, so it was taken as it stands: write json(a.b), closed and with nothing around it.`
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
