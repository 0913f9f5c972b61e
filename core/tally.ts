import type { Adapter } from './adapters/adapter.ts'
import { kindOfWord, lastWord, type StatusWords } from './adapters/status-words.ts'
import type { RequestDecision } from './matcher/decide-request.ts'
import type { MatchEvent } from './matcher/state.ts'
import type { RequestTally } from './store/source-health.ts'
import type { Outcome } from './types.ts'

/** An alert that began to fire, also as a member of an incident that was there. */
const OPENINGS: readonly Outcome[] = ['opened', 'reopened', 'attached', 'late']
/** What came of an event the source said nothing new with. */
const NOTHING_SAID: readonly Outcome[] = ['duplicate', 'filtered', 'test', 'parked']

/** What a decided request says of how its source is set up. Pure; drills say nothing. */
export function tallyOf(
  events: readonly MatchEvent[],
  decision: RequestDecision,
  adapter: Adapter,
  ownWords: StatusWords,
): RequestTally {
  const tally: RequestTally = { opened: 0, recovered: 0, unknownWords: [] }
  for (const [index, { kind, drill, sourceStatus }] of events.entries()) {
    const outcome = decision.events[index]?.outcome
    if (drill || outcome === undefined || NOTHING_SAID.includes(outcome)) continue
    if (kind === 'recover') tally.recovered += 1
    else if (kind === 'info') {
      if (sourceStatus !== null && !isKnownWord(sourceStatus, adapter, ownWords))
        tally.unknownWords.push(sourceStatus)
    } else if (OPENINGS.includes(outcome)) tally.opened += 1
  }
  return tally
}

/** The owner may have said that a word, or the last one of a type, only informs. */
function isKnownWord(word: string, { informs = [] }: Adapter, ownWords: StatusWords): boolean {
  if (kindOfWord(word, ownWords) ?? kindOfWord(lastWord(word), ownWords)) return true
  const lower = word.toLowerCase()
  return informs.some(
    (known) => lower === known || (known.endsWith('*') && lower.startsWith(known.slice(0, -1))),
  )
}
