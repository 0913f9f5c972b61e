import type { Adapter } from './adapter.ts'
import { isObject } from './clean.ts'
import { adapterBySlug } from './registry.ts'

/**
 * Who reads a body that came to this source: as a rule its own adapter. Tools are set up for one another's addresses:
 * a body of Alertmanager's on a runframe source, and, at the short address, a title and nothing of the source's own tool.
 */
export function readerOf(adapter: Adapter, body: unknown, atShortAddress: boolean): Adapter {
  if (!isObject(body)) return adapter
  if (adapter.slug === 'runframe' && Array.isArray(body.alerts))
    return adapterBySlug('alertmanager') ?? adapter
  if (!atShortAddress || adapter.marks === null || typeof body.title !== 'string') return adapter
  const isOwn = adapter.marks.some((name) => Object.hasOwn(body, name))
  return isOwn ? adapter : (adapterBySlug('runframe') ?? adapter)
}
