import type { Findings } from './facts.ts'

/** What the facts say of states, and which evidence tells of a resolution. */
export interface States {
  isResolved: boolean
  wasAcknowledged: boolean
  wasReopened: boolean
  hasRecovery: boolean
  /** Events and entries of any resolution, also one before a reopening. */
  resolutionIds: ReadonlySet<string>
}

export function statesOf({ facts, timeline }: Findings): States {
  const told = [...timeline, ...facts.evidence.map(({ id, text }) => ({ text, evidenceIds: [id] }))]
  const own = told.map(({ text, evidenceIds }) => ({ text: text.replace(/“[^”]*”/g, ''), evidenceIds }))
  const ends = own.filter(({ text }) => /\bresolved\b|was over/.test(text))
  const actions = facts.actions.filter(({ kind }) => kind === 'resolved')
  return {
    isResolved: facts.status === 'resolved',
    wasAcknowledged: facts.acknowledgedAt !== null || own.some(({ text }) => /\backnowledged\b/.test(text)),
    wasReopened: facts.counts.reopenings > 0,
    hasRecovery:
      facts.signals.some(({ recoveredAt, firings }) => recoveredAt !== null || firings > 1) ||
      own.some(({ text }) => /\brecovered\b/.test(text)),
    resolutionIds: new Set([...ends, ...actions].flatMap(({ evidenceIds }) => evidenceIds)),
  }
}

/**
 * Why a sentence without its quotations contradicts the states; null where it does not. `cited` are the ids of its
 * marks. Questions and what is yet to come state nothing.
 */
export function statusFault(text: string, cited: readonly string[], states: States): string | null {
  if (/\?\s*$/.test(text)) return null
  const says = (words: RegExp) => claims(text, words)
  const denies = (words: RegExp) => words.test(text) && !/\b(?:until|before|by|for|within)\b/i.test(text)

  if (states.isResolved) {
    if (OPEN.test(text) && !/\b(?:causes?|questions?|actions?|owners?|answers?|why|what)\b/i.test(text))
      return 'The incident is resolved, not open.'
  } else {
    const ofThen =
      states.resolutionIds.size > 0 &&
      (cited.some((id) => states.resolutionIds.has(id)) || /\b(?:re-?opened|came back|again)\b/i.test(text))
    if ((says(RESOLVED) || says(ENDED)) && !ofThen) return 'The incident is not resolved.'
    if (says(/\brecovered\b/g) && !states.hasRecovery) return 'No recovery is recorded.'
  }
  if (states.wasAcknowledged ? denies(UNACKNOWLEDGED) : says(/\backnowledged\b/gi))
    return states.wasAcknowledged ? 'It was acknowledged.' : 'No acknowledgement is recorded.'
  if (states.wasReopened ? denies(NOT_REOPENED) : says(/\bre-?opened\b/gi))
    return states.wasReopened ? 'It was reopened.' : 'No reopening is recorded.'
  return null
}

/** Whether the words stand there as something that has happened. */
function claims(text: string, words: RegExp): boolean {
  return Array.from(text.matchAll(words)).some(({ index, 0: said }) => {
    const before = text.slice(Math.max(0, index - 60), index)
    return !NOT.test(before) && !NOT.test(said) && !YET_TO_COME.test(before)
  })
}

const NOT =
  /(?:\b(?:not|never|no|nobody|none|without|cannot)|n't)\b(?:\s+[\p{L}-]+){0,3}\s*$|\b(?:not|never)\b|n't\b/iu
const YET_TO_COME =
  /\b(?:will|would|should|must|can|could|may|might|to|until|once|when|if|whether|unless)\b(?![^,;]*\b(?:was|were|has|had|have)\b)[^,;:.]{0,25}$/i

const RESOLVED = /\bresolved\b/gi
const ENDED =
  /\b(?:incident|outage|problem|issue|disruption|INC-\d+)\b(?:\s+[\p{L}-]+){0,4}?\s+(?:recovered|ended|closed|fixed)\b|\bit\s+(?:(?:was|is|has|had|been|now|finally)\s+){0,3}(?:ended|closed|fixed)\b|\b(?:is|was|are|were|be|been)(?:\s+(?:now|finally|all))?\s+over\b(?!\s+(?:\d|the|a|an|its|our|their|half)\b)/giu
const OPEN =
  /\b(?:is|are|remains?)\s+(?:(?:still|currently|now)\s+)?(?:open|ongoing|unresolved)\b|(?<!\b(?:was|were)\s+)\bstill\s+(?:open|ongoing|unresolved)\b|\b(?:is|are|has|have)\s+(?:still\s+)?(?:not|never)\s+(?:yet\s+)?(?:been\s+)?(?:resolved|closed|ended|over)\b|\b(?:was|had)\s+never\s+(?:been\s+)?(?:resolved|closed)\b/i
const UNACKNOWLEDGED =
  /\b(?:not|never)\s+acknowledged\b|\b(?:nobody|no one)\s+acknowledged\b|\bno acknowledgement (?:is|was)\b/i
const NOT_REOPENED = /\b(?:not|never)\s+re-?opened\b/i
