import { setTimeout as wait } from 'node:timers/promises'
import { type ApiEndpoint, type ApiProject, type ApiSource, adapterBySlug, adapters } from '@tocsin/core'
import { type Outgoing, openSender, type Sender } from '../support/sender.ts'
import type { TocsinProcess } from '../support/tocsin-process.ts'
import { type Alert, keyOf, type Ledger } from './ledger.ts'
import type { World } from './world.ts'

/** A project with a source of every tool. */
export interface Place {
  projectId: string
  /** The request a tool makes of an alert. `address`: of the process to send it to. */
  request(alert: Alert, address: string): Outgoing
}

/** How the requests of a load were answered. */
export interface Tally {
  /** How often each status came. */
  statuses: Record<string, number>
  /** Requests without a whole answer, by what happened to them. */
  cutOff: Record<string, number>
  /** How far each of them had come: a limit of time ends them alike, a connection that was given up at once. */
  cutOffMs: number[]
  slowestMs: number
  /** How long each answer took. */
  tookMs: number[]
  /** Answers of 503 or 429 that do not say when to come again. */
  withoutRetryAfter: number
}

export async function openPlace(tocsin: TocsinProcess): Promise<Place> {
  const { project } = await tocsin.api<{ project: ApiProject }>('POST', '/projects', { name: 'Chaos' })
  const sources = new Map<string, { url: string; secret: string; settings: ApiSource['settings'] }>()
  for (const { slug } of adapters) {
    const { source, secret } = await tocsin.api<{ source: ApiSource; secret?: string }>(
      'POST',
      `/projects/${project.id}/sources`,
      // One tool whose alerts are incidents of their own, so that there is something to tell others.
      { adapter: slug, settings: { grouping: slug === 'generic' ? 'signal' : 'project' } },
    )
    sources.set(slug, {
      url: new URL(source.url).pathname,
      secret: secret ?? source.url.split('/').at(-1)!,
      settings: source.settings,
    })
  }
  return {
    projectId: project.id,
    request: ({ adapter, kind, id, at }, address) => {
      const { url, secret, settings } = sources.get(adapter)!
      const made = adapterBySlug(adapter)!.testRequest(kind, {
        id,
        at,
        secret,
        projectId: project.id,
        settings,
      })!
      const query = made.query === undefined ? '' : `?${made.query}`
      return { url: `${address}${url}${query}`, headers: made.headers, body: made.body }
    },
  }
}

/** An endpoint that hears of every transition. */
export async function openEndpoint(tocsin: TocsinProcess, place: Place, url: string): Promise<string> {
  const { endpoint } = await tocsin.api<{ endpoint: ApiEndpoint }>(
    'POST',
    `/projects/${place.projectId}/endpoints`,
    {
      url,
      events: ['incident.opened', 'incident.acknowledged', 'incident.resolved', 'incident.reopened'],
    },
  )
  return endpoint.id
}

export interface LoadOptions {
  place: Place
  ledger: Ledger
  random: World['random']
  /** Of the processes to send to, in turns. */
  addresses: readonly string[]
  perSecond: number
  /** Each with one request at a time; 8 unless told. */
  senders?: number
}

/** Unless told. */
export const SENDERS = 8

/**
 * Keeps sending while something is done, which may look at how that goes, and answers how it went when what is under
 * way has ended.
 */
export async function underLoad(
  options: LoadOptions,
  run: (sofar: Readonly<Tally>) => Promise<unknown>,
): Promise<Tally> {
  const stop = new AbortController()
  const tally = newTally()
  const load = sendUntil(stop.signal, options, tally)
  try {
    // A load that breaks ends what is done beside it.
    await Promise.race([run(tally), load])
  } finally {
    stop.abort()
  }
  await load
  return tally
}

/** Senders that go on whatever they are answered, each with one request at a time. */
async function sendUntil(signal: AbortSignal, options: LoadOptions, tally: Tally): Promise<void> {
  const { place, ledger, random, addresses, perSecond, senders = SENDERS } = options
  const everyMs = (senders * 1000) / perSecond
  const sender = openSender()
  const worker = async (first: number) => {
    let due = performance.now() + (first * everyMs) / senders
    for (let n = first; !signal.aborted; n++) {
      await wait(Math.max(0, due - performance.now()), undefined, { signal }).catch(() => {})
      if (signal.aborted) return
      // One that was held up does not make up for it.
      due = Math.max(due + everyMs, performance.now())
      await sendOne(sender, place, ledger, ledger.next(random), addresses[n % addresses.length]!, tally)
    }
  }
  await Promise.all(Array.from({ length: senders }, (_, n) => worker(n)))
  sender.close()
}

/**
 * What a sender does after an outage of its receiver: all that was not acknowledged, and for good measure one in twenty
 * of what was. Everything has to be taken now; answers what was not.
 */
export async function resend({
  place,
  ledger,
  random,
  address,
}: Pick<LoadOptions, 'place' | 'ledger' | 'random'> & { address: string }): Promise<string[]> {
  const tally = newTally()
  const sender = openSender()
  const again = ledger.repeatable().filter(() => random.below(20) === 0)
  const left = [...ledger.open(), ...again].values()
  const worker = async () => {
    for (const alert of left) await sendOne(sender, place, ledger, alert, address, tally)
  }
  await Promise.all(Array.from({ length: SENDERS }, worker))
  sender.close()
  const refused = Object.entries({ ...tally.statuses, ...tally.cutOff }).filter(([word]) => !/^2/.test(word))
  return [
    ...refused.map(([word, count]) => `${count} alerts sent again were answered with ${word}`),
    ...ledger.open().map((alert) => `${keyOf(alert)} of ${alert.adapter} was not taken when sent again`),
  ]
}

async function sendOne(
  sender: Sender,
  place: Place,
  ledger: Ledger,
  alert: Alert,
  address: string,
  tally: Tally,
): Promise<void> {
  const wasKnown = ledger.isAcknowledged(alert)
  ledger.sent(alert)
  const isTaken = await exchange(sender, place.request(alert, address), tally)
  if (isTaken && !wasKnown) ledger.acknowledged(alert)
}

/** Sends one request and counts what came; answers whether it was a 2xx. `due`: when it should have gone out. */
export async function exchange(
  sender: Sender,
  request: Outgoing,
  tally: Tally,
  due = performance.now(),
): Promise<boolean> {
  let isTaken = false
  try {
    const { status, headers } = await sender.post(request)
    tally.tookMs.push(performance.now() - due)
    tally.statuses[status] = (tally.statuses[status] ?? 0) + 1
    isTaken = status >= 200 && status <= 299
    if ((status === 503 || status === 429) && !isSoon(headers['retry-after'])) {
      tally.withoutRetryAfter += 1
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    tally.cutOff[code] = (tally.cutOff[code] ?? 0) + 1
    tally.cutOffMs.push(Math.round(performance.now() - due))
  }
  tally.slowestMs = Math.max(tally.slowestMs, performance.now() - due)
  return isTaken
}

/** Whole seconds, few enough that nothing the sender says is out of date by then. */
function isSoon(retryAfter: string | undefined): boolean {
  return /^[1-9]\d?$/.test(retryAfter ?? '')
}

export function newTally(): Tally {
  return { statuses: {}, cutOff: {}, cutOffMs: [], slowestMs: 0, tookMs: [], withoutRetryAfter: 0 }
}

/** Everything of a load that may not be, whatever is broken: only 2xx and an honest 503 are answers. */
export function findWrongAnswers(tally: Tally, mayCutOff: boolean): string[] {
  const wrong = Object.entries(tally.statuses)
    .filter(([status]) => !/^2..$|^503$/.test(status))
    .map(([status, count]) => `${count} requests were answered with ${status}`)
  if (tally.withoutRetryAfter > 0)
    wrong.push(`${tally.withoutRetryAfter} refusals lack a Retry-After, or one of at most 99 s`)
  if (!mayCutOff) {
    const after = `after ${tally.cutOffMs.slice(0, 5).join(', ')} ms; the slowest answer took ${Math.round(tally.slowestMs)} ms`
    for (const [code, count] of Object.entries(tally.cutOff))
      wrong.push(`${count} requests ended in ${code} (${after})`)
  }
  return wrong
}
