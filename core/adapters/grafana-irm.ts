import type { MappedField } from '../types.ts'
import type { Adapter } from './adapter.ts'
import {
  cleanId,
  cleanMetadata,
  cleanServices,
  cleanText,
  isObject,
  LIMITS,
  sha256,
  wholeId,
} from './clean.ts'
import { newEvent } from './new-event.ts'
import { readFlag, readParameter, remarkOn } from './parameters.ts'
import { readJsonBody } from './read-body.ts'
import { readLabels } from './read-labels.ts'
import { readOwnSeverity } from './severity.ts'
import { hasBearer } from './signatures.ts'
import { readStatus } from './status-words.ts'

/**
 * What was built for the incoming webhook of Grafana IRM: the address says what to declare, by values or by
 * `json(path)` out of the body, and whatever the body is, an incident is declared, unless it repeats one that is open
 * (matching.md M1, D5).
 * https://grafana.com/docs/grafana-cloud/alerting-and-irm/irm/configure/integrations/incoming-webhook/
 */
export const grafanaIrm: Adapter = {
  slug: 'grafana-irm',
  name: 'Grafana IRM incoming webhook',
  defaults: { address: 'project', grouping: 'signal', reopenWindowMinutes: 0 },
  bodies: ['any'],
  ownSettings: ['mapping'],
  // Its address says what is its own.
  marks: [],
  path: '/api/experimental/incoming-webhooks/grafana.incident.create',
  dropIn: { credential: bearer },

  credentialHeaders: () => ['authorization'],

  verify: hasBearer,

  readBody: ({ rawBody }) => (rawBody.length === 0 ? {} : readJsonBody(rawBody)),

  parse(body, request, settings, sourceName = 'an incoming webhook') {
    const parameter = (name: MappedField) => readParameter(name, body, request, settings)
    const text = (name: MappedField, limit: number) => cleanText(parameter(name), limit)
    const id = cleanId(parameter('id'))
    const status = readStatus(parameter('action'), settings.statusWords)
    const severityWord = text('severity', LIMITS.word)
    const roomPrefix = text('roomprefix', LIMITS.name)
    const ownKey = `declared:${sha256(`${request.query}\n${request.rawBody.toString('latin1')}`)}`
    const event = newEvent({
      kind: status.kind,
      signalKey: id ?? ownKey,
      ...(id === null && { anonymous: true }),
      ...(body === undefined && { bodyNotRead: true }),
      ...(status.reopen && { reopen: true }),
      eventId: id,
      externalId: wholeId(parameter('id')),
      title: text('title', LIMITS.title) ?? `Incident declared by ${sourceName}`,
      description: text('description', LIMITS.description),
      severity: readOwnSeverity(severityWord) ?? status.severity,
      sourceSeverity: severityWord,
      sourceStatus: status.sourceStatus,
      services: cleanServices([parameter('service')].flat()),
      labels: readLabels(parameter('labels')),
      metadata: cleanMetadata({ ...membersOf(body), ...(roomPrefix !== null && { roomPrefix }) }),
      drill: readFlag(parameter('drill')),
    })
    const remark = remarkOn(request)
    return {
      events: [event],
      delivery: null,
      group: null,
      filtered: null,
      ...(remark !== undefined && { remark }),
    }
  },

  testRequest: (kind, { id, secret }) => ({
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
    query: 'title=json(title)&id=json(id)&action=json(action)&severity=minor',
    body: JSON.stringify({ title: 'Tocsin test', id, action: kind === 'fire' ? 'trigger' : 'resolve' }),
  }),

  says: {
    credential: 'bearer token',
    opens: 'every request; a repeat joins the incident that is open',
    acknowledges: 'with `action=` in the address',
    resolves: 'with `action=` in the address',
    identity: 'The parameter `id`; without one, address and body as a whole.',
    retries: 'As the tool behind it does.',
  },

  setup: [
    'Where the tool has the address of the incoming webhook, paste {url} and keep what follows the question mark.',
    'Set the header `Authorization: Bearer <secret of this source>`.',
    'The same `id`, or without one the same address and body, joins its incident while that is open, instead of opening another.',
    'Add `&drill=true` for a try; add `&id=json(…)&action=json(…)` if the tool also says when it is over.',
  ],
}

/** What of a body is attached: its members, or the whole of what has none, such as a list. */
function membersOf(body: unknown): Record<string, unknown> {
  if (isObject(body)) return body
  return body === undefined || body === null ? {} : { body }
}

function bearer(request: Parameters<typeof hasBearer>[0]): string | undefined {
  const [value, ...more] = request.headers.get('authorization') ?? []
  return more.length > 0 ? undefined : /^bearer +(\S+) *$/i.exec(value ?? '')?.[1]
}
