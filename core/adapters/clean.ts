import { hash } from 'node:crypto'
import type { Labels } from '../types.ts'

/** How much of a sender's text is kept, in UTF-16 code units; what is longer is cut. */
export const LIMITS = {
  title: 500,
  description: 10_000,
  labelCount: 64,
  labelName: 200,
  labelValue: 1_000,
  word: 100,
  name: 500,
  url: 2_000,
  id: 500,
  wholeId: 10_000,
  services: 50,
  metadataText: 2_000,
  metadataDepth: 6,
  metadataMembers: 200,
  /**
   * Alerts in one body. More are refused together, since cutting them would lose some without a word. Each takes about a
   * quarter of a millisecond, while everybody else waits; as Alertmanager and Grafana write them, so many fill most of 1 MiB.
   */
  alerts: 2_000,
} as const

const NUL = String.fromCharCode(0)

/**
 * Text fit to be stored: no NUL (PostgreSQL refuses it), no lone surrogate, trimmed, cut to the limit.
 * Numbers and booleans become text; null where nothing is left or the value is of another type.
 */
export function cleanText(value: unknown, limit: number): string | null {
  const text = typeof value === 'string' ? plain(value) : scalarText(value)
  if (text === null) return null

  const trimmed = text.trim()
  return trimmed === '' ? null : cut(trimmed, limit)
}

/** A sender's id, unchanged but for NULs. One too long to keep becomes its hash, so that two never meet by being cut. */
export function cleanId(value: unknown): string | null {
  return idWithin(LIMITS.id, value)
}

/** An id as its sender knows it, for showing: whole where `cleanId` has long made a hash of it. */
export function wholeId(value: unknown): string | null {
  return idWithin(LIMITS.wholeId, value)
}

/** The first of these that says something. */
export function firstText(limit: number, ...values: unknown[]): string | null {
  for (const value of values) {
    const text = cleanText(value, limit)
    if (text !== null) return text
  }
  return null
}

/** An object of labels as text values. Members without a text form, such as objects, are written as JSON. */
export function cleanLabels(value: unknown): Labels {
  const labels: Labels = {}
  if (!isObject(value)) return labels

  let count = 0
  for (const [name, content] of Object.entries(value)) {
    if (count === LIMITS.labelCount) break
    const key = cleanText(name, LIMITS.labelName)
    if (key === null || key === '__proto__' || content === null || content === undefined) continue
    const text = typeof content === 'object' ? JSON.stringify(content) : content
    labels[key] = cleanText(text, LIMITS.labelValue) ?? ''
    count++
  }
  return labels
}

/** A link a person may click: http, https or mailto; relative ones only where a base is given. Else null. */
export function cleanUrl(value: unknown, base?: string | null): string | null {
  if (typeof value !== 'string' || value.length > LIMITS.url) return null

  const text = plain(value).trim()
  if (/^https?:\/\/[^\s]+$/i.test(text) || /^mailto:[^\s]+$/i.test(text)) return text
  // A scheme of any other kind (javascript:, data:) must not survive by being resolved.
  if (text === '' || !base || /^[a-z][a-z0-9+.-]*:/i.test(text) || !URL.canParse(text, base)) return null

  const resolved = new URL(text, base)
  return resolved.protocol === 'http:' || resolved.protocol === 'https:' ? resolved.href : null
}

/** Names of services from texts, lists and comma lists, in order, each once. */
export function cleanServices(...values: unknown[]): string[] {
  const services = new Set<string>()
  for (const value of values) {
    const names = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : []
    for (const item of names) {
      const name = cleanText(item, LIMITS.name)
      if (name !== null && services.size < LIMITS.services) services.add(name)
    }
  }
  return [...services]
}

/** Any JSON object, cleaned all the way down; what exceeds the limits is left out. */
export function cleanMetadata(value: unknown): Record<string, unknown> {
  const budget = { members: LIMITS.metadataMembers }
  return isObject(value) ? cleanMembers(value, 1, budget) : {}
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** SHA-256 as lower-case hex. */
export function sha256(content: string | Buffer): string {
  return hash('sha256', content)
}

/** Signal key of an alert that has no id of its own (matching.md 1, "generic"). */
export function titleKey(title: string): string {
  return `title:${sha256(title.toLowerCase())}`
}

function cleanMembers(value: object, depth: number, budget: { members: number }): Record<string, unknown> {
  const members: Record<string, unknown> = {}
  for (const [name, content] of Object.entries(value)) {
    const key = cleanText(name, LIMITS.labelName)
    if (key === null || key === '__proto__') continue
    const cleaned = cleanValue(content, depth, budget)
    if (cleaned !== undefined) members[key] = cleaned
  }
  return members
}

function cleanValue(value: unknown, depth: number, budget: { members: number }): unknown {
  if (budget.members-- <= 0) return undefined
  if (typeof value === 'string') return cut(plain(value), LIMITS.metadataText)
  if (typeof value !== 'object' || value === null) return value
  if (depth === LIMITS.metadataDepth) return undefined
  if (!Array.isArray(value)) return cleanMembers(value, depth + 1, budget)

  return value.map((item) => cleanValue(item, depth + 1, budget)).filter((item) => item !== undefined)
}

function idWithin(limit: number, value: unknown): string | null {
  const text = typeof value === 'string' ? plain(value) : scalarText(value)
  if (text === null || text.trim() === '') return null

  return text.length > limit ? `sha256:${sha256(text)}` : text
}

function scalarText(value: unknown): string | null {
  return Number.isFinite(value) || typeof value === 'boolean' ? String(value) : null
}

function plain(text: string): string {
  const whole = text.isWellFormed() ? text : text.toWellFormed()
  return whole.includes(NUL) ? whole.replaceAll(NUL, '') : whole
}

function cut(text: string, limit: number): string {
  if (text.length <= limit) return text
  const short = text.slice(0, limit)
  // Not through the middle of a surrogate pair.
  return short.isWellFormed() ? short : short.slice(0, -1)
}
