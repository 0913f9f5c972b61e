import type { ZodError } from 'zod'

/** The first problem of a body: which field, and what about it. Never the value. */
export function explain(error: ZodError): string {
  const issue = error.issues[0]
  if (!issue) return 'it cannot be read.'
  const field = issue.path.map(String).join('.').slice(0, 100)
  if (ZODS_OWN.test(issue.message)) return `${inWords(issue, field === '' ? 'the body' : field)}.`
  // Our own messages name the field themselves.
  return field === '' || issue.message.startsWith(field) ? `${issue.message}.` : `${field}: ${issue.message}.`
}

const ZODS_OWN = /^(Invalid |Too )/

/** What zod found, as field, problem and remedy. */
function inWords(issue: ZodError['issues'][number], field: string): string {
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = KINDS_OF_VALUE[issue.expected] ?? issue.expected
      return issue.message.endsWith('received undefined')
        ? `${field} is missing: send it as ${wanted}`
        : `${field} is not ${wanted}: send ${wanted}`
    }
    // The only choice an adapter gives.
    case 'invalid_union':
      return `${field} is missing or neither text nor a number: send one of them`
    case 'too_small':
      return `${field} is empty: send ${issue.origin === 'string' ? 'some text' : 'at least one entry'}`
    case 'too_big':
      return `${field} is too long: send at most ${issue.maximum} ${issue.origin === 'string' ? 'characters' : 'entries'}`
    default:
      return `${field} cannot be read: send it as the documentation of the tool says`
  }
}

const KINDS_OF_VALUE: Record<string, string> = {
  object: 'an object',
  record: 'an object',
  array: 'a list',
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
}
