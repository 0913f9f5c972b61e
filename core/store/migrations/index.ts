import type { Migration } from 'kysely/migration'
import { first } from './0001-first.ts'
import { delivery } from './0002-delivery.ts'
import { messageBody } from './0003-message-body.ts'
import { postmortem } from './0004-postmortem.ts'
import { mcp } from './0005-mcp.ts'
import { sources } from './0006-sources.ts'
import { lanes } from './0007-lanes.ts'
import { keptEndpoints } from './0008-kept-endpoints.ts'
import { localIndexes } from './0009-local-indexes.ts'
import { sharedText } from './0010-shared-text.ts'
import { postmortemProse } from './0011-postmortem-prose.ts'
import { earlierBody } from './0012-earlier-body.ts'
import { timelineAsWritten } from './0013-timeline-as-written.ts'
import { textHash } from './0014-text-hash.ts'
import { chunks } from './0015-chunks.ts'
import { occurrenceChunks } from './0016-occurrence-chunks.ts'
import { firedSecond } from './0017-fired-second.ts'
import { roomForUpdates } from './0018-room-for-updates.ts'

/** Every migration in order; a released one never changes. */
export const migrations: Record<string, Migration> = {
  '0001-first': first,
  '0002-delivery': delivery,
  '0003-message-body': messageBody,
  '0004-postmortem': postmortem,
  '0005-mcp': mcp,
  '0006-sources': sources,
  '0007-lanes': lanes,
  '0008-kept-endpoints': keptEndpoints,
  '0009-local-indexes': localIndexes,
  '0010-shared-text': sharedText,
  '0011-postmortem-prose': postmortemProse,
  '0012-earlier-body': earlierBody,
  '0013-timeline-as-written': timelineAsWritten,
  '0014-text-hash': textHash,
  '0015-chunks': chunks,
  '0016-occurrence-chunks': occurrenceChunks,
  '0017-fired-second': firedSecond,
  '0018-room-for-updates': roomForUpdates,
}
