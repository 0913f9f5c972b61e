/**
 * `npm run demo`: a scripted outage on a scratch database. The process, the HTTP requests and the signatures are real;
 * only the outage is not. Ends by itself; exits with 1 when Tocsin decided otherwise than told here.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { ApiPostmortem, ApiRequestDetail } from '@tocsin/core'
import { endInGoodOrder } from '../support/leftovers.ts'
import { reading } from '../support/reading.ts'
import { startTocsin, type TocsinProcess } from '../support/tocsin-process.ts'
import { type Happened, scriptOutage } from './outage.ts'
import {
  heading,
  print,
  printIncident,
  printPostmortem,
  printReceipts,
  printStep,
  printTimeline,
} from './print.ts'

// Time to read along; nobody reads a file line by line.
const PACE_MS = process.stdout.isTTY ? 700 : 50

endInGoodOrder()

const tocsin = await startTocsin()
try {
  process.exitCode = await play(tocsin)
} finally {
  await tocsin.stop()
  await tocsin.dispose()
}

async function play(tocsin: TocsinProcess): Promise<number> {
  print(`Tocsin runs at ${tocsin.address} on a scratch database.`)
  heading('An outage of the checkout')
  const start = Date.now()
  let surprises = 0

  for (const step of await scriptOutage(tocsin)) {
    await wait(PACE_MS)
    const at = Date.now() - start
    const happened = await step.run()
    if (happened.outcome !== step.expected) surprises += 1
    printStep(at, step, happened, await why(tocsin, happened))
  }

  const { incidents, timeline, events } = reading(tocsin)
  const [incident, ...others] = await incidents()
  if (!incident || others.length > 0) {
    print(`One incident was expected, there are ${others.length + (incident ? 1 : 0)}.`)
    return 1
  }
  printIncident(incident)
  printTimeline(await timeline(incident.id))
  printReceipts(await events(incident.id))
  const path = `/projects/${tocsin.projectId}/incidents/${incident.id}/postmortem`
  printPostmortem((await tocsin.api<{ postmortem: ApiPostmortem }>('POST', path)).postmortem)
  if (incident.status !== 'resolved') surprises += 1

  print()
  print(
    surprises === 0
      ? 'Three tools spoke of one outage, and it became one incident. Start your own with: npm start'
      : `${surprises} of these decisions were not the expected ones.`,
  )
  return surprises === 0 ? 0 : 1
}

/** The rules that decided, each in its own words where the request left events that keep them. */
async function why(tocsin: TocsinProcess, { requestId, rules, note }: Happened): Promise<string[]> {
  if (requestId === null) return note ? [note] : []
  const path = `/projects/${tocsin.projectId}/requests/${requestId}`
  const { request } = await tocsin.api<{ request: ApiRequestDetail }>('GET', path)
  const receipts = request.events.flatMap(({ receipt }) => receipt)
  return rules.map((rule) => {
    const text = receipts.find((entry) => entry.rule === rule)?.text
    return text ? `${rule}: ${text}` : `rule ${rule}`
  })
}
