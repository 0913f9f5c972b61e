import type { Migration } from 'kysely/migration'
import { first } from './0001-first.ts'
import { delivery } from './0002-delivery.ts'
import { messageBody } from './0003-message-body.ts'
import { postmortem } from './0004-postmortem.ts'
import { mcp } from './0005-mcp.ts'
import { sources } from './0006-sources.ts'
import { lanes } from './0007-lanes.ts'
import { postmortemProse } from './0008-postmortem-prose.ts'

/** Every migration in order; a released one never changes. */
export const migrations: Record<string, Migration> = {
  '0001-first': first,
  '0002-delivery': delivery,
  '0003-message-body': messageBody,
  '0004-postmortem': postmortem,
  '0005-mcp': mcp,
  '0006-sources': sources,
  '0007-lanes': lanes,
  '0008-postmortem-prose': postmortemProse,
}
