import type { ApiPostmortemFacts } from '../api-types.ts'
import type { Findings } from './facts.ts'

/**
 * The findings without what is nobody's business outside: no names of people, tools, alerts, hosts or releases, no
 * labels, values or stack traces. Drafts and checks for customers know nothing else, so nothing else can slip in.
 */
export function forCustomers(findings: Findings): Findings {
  const { facts, reference } = findings
  const names = new Map(facts.signals.map((signal, i) => [signal.title, `Signal ${i + 1}`]))
  const actions = facts.actions.filter(({ kind }) => kind !== 'note')
  const told: ApiPostmortemFacts = {
    ...facts,
    title: `Incident ${reference}`,
    services: facts.services.filter(isPlainName),
    actions: actions.map((action) => ({
      ...action,
      by: { type: action.by.type, name: action.by.type === 'key' ? 'our team' : 'our monitoring' },
      text: null,
    })),
    signals: facts.signals.map((signal, i) => ({
      ...signal,
      title: `Signal ${i + 1}`,
      monitor: null,
      source: 'our monitoring',
      description: null,
    })),
    sources: [],
    measurements: [],
    errors: facts.errors.map((error) => ({
      ...error,
      title: names.get(error.title) ?? 'An error',
      culprit: null,
      stackTrace: [],
      release: null,
      environment: null,
    })),
    coFiring: [],
    evidence: facts.evidence.map((item) => ({
      ...item,
      text: item.kind === 'event' ? 'A report of our monitoring.' : 'An entry of the incident’s timeline.',
    })),
  }
  return {
    ...findings,
    facts: told,
    timeline: actions.map((action) => ({
      at: timeOf(action, facts.stretches),
      text: PLAIN[action.kind],
      evidenceIds: action.evidenceIds,
    })),
    related: [],
  }
}

/** By the clock that the summary goes by: when it ended or came back, not when we heard of that. */
function timeOf(
  { at, kind, evidenceIds }: ApiPostmortemFacts['actions'][number],
  stretches: ApiPostmortemFacts['stretches'],
): string {
  const own = stretches.find((stretch) => stretch.evidenceIds.some((id) => evidenceIds.includes(id)))
  if (kind === 'resolved') return own?.resolvedAt ?? at
  return kind === 'reopened' ? (own?.startedAt ?? at) : at
}

const PLAIN: Record<ApiPostmortemFacts['actions'][number]['kind'], string> = {
  opened: 'We noticed the problem.',
  acknowledged: 'Our team began to work on it.',
  reopened: 'The problem came back.',
  resolved: 'The problem was over.',
  note: 'A note was taken.',
}

/** A word or a few, as in a status page: dots, digits, slashes and colons are for hosts. */
function isPlainName(name: string): boolean {
  return /^\p{L}[\p{L} _-]{0,60}$/u.test(name)
}
