import { hash } from 'node:crypto'
import { ToolError } from './tool-error.ts'

/** A place in a list, bound to what was asked: with other arguments it would skip or repeat entries silently. */
export function bindCursor(cursor: string, asked: unknown): string {
  return Buffer.from(JSON.stringify([fingerprint(asked), cursor])).toString('base64url')
}

/** The place in the list. Throws where it belongs to another question. */
export function readCursor(text: string, asked: unknown): string {
  const [bound, cursor] = parse(text)
  if (bound === undefined || cursor === undefined) {
    throw new ToolError(
      'invalid_cursor',
      'cursor: not one of ours. Take it unchanged from the result before.',
    )
  }
  if (bound !== fingerprint(asked)) {
    throw new ToolError(
      'invalid_cursor',
      'cursor: belongs to a call with other arguments. Repeat that call with only cursor added, or leave cursor out.',
    )
  }
  return cursor
}

function parse(text: string): string[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return Array.isArray(value) && value.every((part) => typeof part === 'string') ? value : []
  } catch {
    return []
  }
}

function fingerprint(asked: unknown): string {
  return hash('sha256', JSON.stringify(asked), 'base64url').slice(0, 16)
}
