import { readdirSync, readFileSync } from 'node:fs'
import { readJsonBody } from '../../../core/adapters/read-body.ts'
import type { HookRequest, SourceSettings } from '../../../core/types.ts'

/** Settings of a source nobody has touched. */
export const noSettings: SourceSettings = {
  grouping: null,
  groupBy: null,
  reopenWindowMinutes: null,
  resolveScope: null,
  strictExternalId: null,
  staleAfterMinutes: null,
  cidrs: [],
  sentryProject: null,
  signatureHeader: null,
  timestampHeader: null,
  repositories: [],
  statusWords: {},
  mapping: null,
  defaults: { severity: null, services: [], labels: {}, drill: false },
}

/** The bytes of test/payloads/<name>.json. */
export function rawPayload(name: string): Buffer {
  return readFileSync(new URL(`../../payloads/${name}.json`, import.meta.url))
}

/** The body of test/payloads/<name>.json, read as a request's body is. */
export function payload(name: string): unknown {
  return readJsonBody(rawPayload(name))
}

/** Every body we have of one tool. */
export function payloadsOf(slug: string): unknown[] {
  const files = readdirSync(new URL(`../../payloads/${slug}/`, import.meta.url))
  return files.map((file) => payload(`${slug}/${file.replace(/\.json$/, '')}`))
}

/** A request with these headers, each sent once. */
export function hookRequest(
  fields: {
    headers?: Record<string, string>
    body?: Buffer | string
    query?: string
    receivedAt?: string
  } = {},
): HookRequest {
  const headers = Object.entries(fields.headers ?? {})
  return {
    method: 'POST',
    path: '/hook',
    query: new URLSearchParams(fields.query ?? ''),
    headers: new Map(headers.map(([name, value]) => [name.toLowerCase(), [value]])),
    rawBody: Buffer.from(fields.body ?? ''),
    receivedAt: fields.receivedAt ?? '2026-07-01T12:00:00.000Z',
    ip: null,
  }
}
