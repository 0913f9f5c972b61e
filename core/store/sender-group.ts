import { hash } from 'node:crypto'

/** The key of a sender's group: bound to its source, of bounded length. */
export function senderGroupKey(sourceId: string, key: string): string {
  return `${sourceId}/${hash('sha256', key, 'base64url').slice(0, 32)}`
}

/** A group's key as it is stored beside its source. */
export function withoutSource(groupKey: string): string {
  return groupKey.slice(groupKey.indexOf('/') + 1)
}
