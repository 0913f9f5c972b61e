import type { Migration } from 'kysely/migration'
import { first } from './0001-first.ts'
import { delivery } from './0002-delivery.ts'
import { postmortem } from './0004-postmortem.ts'

/** Every migration in order; a released one never changes. */
export const migrations: Record<string, Migration> = {
  '0001-first': first,
  '0002-delivery': delivery,
  '0004-postmortem': postmortem,
}
