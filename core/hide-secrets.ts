import { isKeptHeader } from './store/hook-request.ts'
import type { HookRequest } from './types.ts'

/** Shorter ones may be words that an alert has a right to say. */
const LEAST_HIDDEN = 16

/**
 * A request as it may be kept: these secrets nowhere in it, wherever a tool or a slip put them, so that neither the
 * database nor a backup holds one in the clear. The size of the body stays, and JSON stays JSON.
 */
export function withoutSecrets(request: HookRequest, secrets: Iterable<string>): HookRequest {
  let kept = request
  for (const secret of secrets) {
    if (secret.length < LEAST_HIDDEN) continue
    for (const form of new Set([secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])) {
      if (holds(kept, form)) kept = without(kept, form)
    }
  }
  return kept
}

function holds({ path, query, headers, rawBody }: HookRequest, text: string): boolean {
  if (path.includes(text) || rawBody.includes(text)) return true
  // The others, where most credentials stand, are not kept anyway.
  for (const [name, values] of headers)
    if (isKeptHeader(name) && values.some((value) => value.includes(text))) return true
  for (const [name, value] of query) if (name.includes(text) || value.includes(text)) return true
  return false
}

function without(request: HookRequest, text: string): HookRequest {
  const hide = (value: string) => value.replaceAll(text, '***')
  const headers = Array.from(request.headers, ([name, values]) => [name, values.map(hide)] as const)
  const query = Array.from(request.query, ([name, value]) => [hide(name), hide(value)] as [string, string])
  const rawBody = Buffer.from(request.rawBody)
  for (let at = rawBody.indexOf(text); at !== -1; at = rawBody.indexOf(text, at)) {
    at += rawBody.write('*'.repeat(Buffer.byteLength(text)), at)
  }
  return {
    ...request,
    path: hide(request.path),
    headers: new Map(headers),
    query: new URLSearchParams(query),
    rawBody,
  }
}
