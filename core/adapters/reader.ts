import type { HookRequest, SourceSettings } from '../types.ts'
import type { Adapter } from './adapter.ts'
import { isObject } from './clean.ts'
import { saysFields } from './parameters.ts'
import { adapterBySlug } from './registry.ts'

/**
 * Who reads a body that came to this source: as a rule its own adapter. Tools are set up for one another's addresses:
 * a body of Alertmanager's on a runframe source, and, at the short address, a title and nothing of the source's own tool
 * (design.md 5). Grafana IRM takes any body, so there its parameters, or a mapping, tell that a request is its own.
 */
export function readerOf(
  adapter: Adapter,
  body: unknown,
  request: HookRequest,
  settings: SourceSettings,
): Adapter {
  if (!isObject(body)) return adapter
  if (adapter.slug === 'runframe' && Array.isArray(body.alerts))
    return adapterBySlug('alertmanager') ?? adapter
  if (!isShortAddress(request) || adapter.marks === null || typeof body.title !== 'string') return adapter
  const isOwn =
    adapter.marks.some((name) => Object.hasOwn(body, name)) ||
    (adapter.ownSettings?.includes('mapping') === true && saysFields(request, settings))
  return isOwn ? adapter : (adapterBySlug('runframe') ?? adapter)
}

/** Whether it came to the address that does not name its tool; a kept request knows it by its path. */
export function isShortAddress({ path }: HookRequest): boolean {
  return path.startsWith('/webhooks/')
}
