import { z } from 'zod'
import type { Adapter } from './adapter.ts'
import { cleanId, cleanMetadata, cleanServices, cleanText, LIMITS, titleKey, wholeId } from './clean.ts'
import { anything, someDescription, someTime, someWord } from './fields.ts'
import { newEvent } from './new-event.ts'
import { readTime } from './read-time.ts'
import { readOwnSeverity } from './severity.ts'
import { hasBearer, hasSecretHeader } from './signatures.ts'

/** https://runframe.io/docs/api/webhooks; every other member becomes metadata. */
const Fields = z.looseObject({
  title: z
    .union([z.string(), z.number()], 'title is missing: send it as text')
    .transform((title) => cleanText(title, LIMITS.title))
    .refine((title) => title !== null, 'title is empty: send some text')
    .transform((title) => title ?? ''),
  description: someDescription,
  severity: someWord,
  service: anything,
  affected_services: anything,
  customer_impact: anything,
  id: anything,
  event_id: anything,
  time: someTime,
})

/** What was built to declare incidents in Runframe; it opens, and people resolve. */
export const runframe: Adapter = {
  slug: 'runframe',
  name: 'Runframe webhooks',
  // Each thing that is wrong has an incident of its own; a body that repeats what is open joins it (matching.md M1, D5).
  defaults: { address: 'token', grouping: 'signal', reopenWindowMinutes: 0 },
  marks: ['title'],
  path: '/webhooks/{token}',

  credentialHeaders: () => ['x-webhook-secret', 'authorization'],

  verify: (request, secret) => hasSecretHeader(request, secret) || hasBearer(request, secret),

  parse(body) {
    const fields = Fields.parse(body)
    const id = cleanId(fields.id) ?? cleanId(fields.event_id)
    const eventTime = readTime(fields.time)
    const event = newEvent({
      kind: 'fire',
      signalKey: id ?? titleKey(fields.title),
      ...(id === null && { anonymous: true }),
      eventTime,
      sourceTime: fields.time,
      timeFrom: eventTime === null ? null : 'body',
      externalId: wholeId(fields.id) ?? wholeId(fields.event_id),
      eventId: id,
      title: fields.title,
      description: fields.description,
      severity: readOwnSeverity(fields.severity),
      sourceSeverity: fields.severity,
      services: cleanServices([fields.service], fields.affected_services),
      customerImpact: fields.customer_impact === true || fields.customer_impact === 'true',
      metadata: cleanMetadata(
        Object.fromEntries(Object.entries(fields).filter(([name]) => !Object.hasOwn(Fields.shape, name))),
      ),
    })
    return { events: [event], delivery: null, group: null, filtered: null }
  },

  testRequest: (kind, { id, secret }) =>
    kind === 'recover'
      ? null
      : {
          headers: { 'content-type': 'application/json', 'x-webhook-secret': secret },
          body: JSON.stringify({
            title: 'Tocsin test',
            description: 'A test sent from Tocsin. Nothing is wrong.',
            severity: 'Low',
            id,
          }),
        },

  says: {
    credential: 'token in the address',
    opens: 'every body; a repeat joins the incident that is open',
    acknowledges: null,
    resolves: null,
    identity: 'The title, or an `id` where the body has one.',
    retries: 'As your script does.',
  },

  setup: [
    'Where the tool or script has the address of its Runframe webhook, paste {url}.',
    'Send JSON with at least a `title`; the body stays as it was for Runframe.',
    'The same title, or `id` where there is one, joins its incident while that is open, instead of opening another.',
    'Resolve these incidents by hand: such a sender never says that it is over.',
  ],
}
