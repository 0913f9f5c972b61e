import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import type { ApiPostmortem, ApiPostmortemInput } from '../../../core/api-types.ts'
import { check } from '../../../core/postmortem/check.ts'
import type { Tocsin } from '../../../core/tocsin.ts'
import { inRepository } from '../../support/child.ts'
import { databaseKinds } from '../../support/databases.ts'
import { testTocsin } from '../open-test-tocsin.ts'
import { OUTAGES } from './outages.ts'

/** `docs/examples/<outage>[-<template>][-<audience>].md`; written anew with UPDATE_EXAMPLES=1. */
const EXAMPLES: [outage: keyof typeof OUTAGES, suffix: string, input: ApiPostmortemInput][] = [
  ['sentry-regression', '', {}],
  ['sentry-regression', '-customer', { audience: 'customer' }],
  ['grafana-threshold', '', {}],
  ['grafana-threshold', '-five-whys', { template: 'five_whys' }],
  ['better-stack-flapping', '', {}],
  ['better-stack-flapping', '-brief', { template: 'brief' }],
]

const OUTAGE_NAMES = Object.keys(OUTAGES) as (keyof typeof OUTAGES)[]

describe.each(databaseKinds.flatMap((kind) => OUTAGE_NAMES.map((outage) => ({ kind, outage }))))(
  '$outage on $kind',
  ({ kind, outage }) => {
    // A clock of its own, so that the times are always the same.
    const t = testTocsin(kind)
    let played: Awaited<ReturnType<(typeof OUTAGES)[typeof outage]>>
    beforeAll(async () => {
      played = await OUTAGES[outage](t)
    })

    test.each(EXAMPLES.filter(([name]) => name === outage))('%s%s.md reads so', async (_, suffix, input) => {
      const { project, incident } = played
      const { postmortem } = await t.admin.draftPostmortem(project.id, incident, { ...input, dryRun: true })
      const text = withPlainIds(postmortem.markdown)
      const file = inRepository(`docs/examples/${outage}${suffix}.md`)
      if (process.env.UPDATE_EXAMPLES) writeFileSync(file, text)
      expect(text).toBe(readFileSync(file, 'utf8'))
      expect(check(postmortem.markdown, postmortem)).toEqual([])
      await expectResolving(t.admin, project.id, postmortem)
      // Customers are told nothing of clocks, and one time for each thing.
      if (input.audience !== 'customer') expect(ofNoClock(postmortem.markdown)).toEqual([])
    })
  },
)

/** Ids differ from run to run; in the docs they are counted. */
function withPlainIds(markdown: string): string {
  const ids = new Map<string, string>()
  return markdown.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
    if (!ids.has(id)) ids.set(id, `00000000-0000-7000-8000-${String(ids.size + 1).padStart(12, '0')}`)
    return ids.get(id)!
  })
}

/** Sentences with a time at which none of their evidence was heard of, and no word of the clock it is by. */
function ofNoClock(markdown: string): string[] {
  const [body, evidence] = markdown.split('## Evidence')
  const heard = new Map(
    Array.from(evidence!.matchAll(/^- (E\d+): .*?\d{4}-\d\d-\d\d (\S{8}):/gm), ([, mark, at]) => [mark, at]),
  )
  // The table of signals says it once for all its times.
  const sentences = body!.replace(/^## Signals[\s\S]*?(?=^## )/m, '').split(/(?<=\]\.) |\n/)
  return sentences.filter((sentence) => {
    const marked = Array.from(sentence.matchAll(/\[(E\d+)\]/g), ([, mark]) => heard.get(mark!))
    const times = sentence.replace(/“[^”]*”/g, '').match(/\d\d:\d\d:\d\d/g) ?? []
    return times.some((time) => !marked.includes(time)) && !sentence.includes('clock')
  })
}

/** Every id that is cited anywhere is one of the incident's events or timeline entries. */
async function expectResolving(admin: Tocsin, project: string, postmortem: ApiPostmortem): Promise<void> {
  const { events } = await admin.listIncidentEvents(project, postmortem.incidentId, { limit: 100 })
  const { timeline } = await admin.listTimeline(project, postmortem.incidentId, { limit: 100 })
  const there = new Set([...events, ...timeline].map(({ id }) => id))
  const cited = JSON.stringify(postmortem).matchAll(/"evidenceIds":\[([^\]]*)\]/g)
  const ids = Array.from(cited, ([, list]) => list!.match(/[0-9a-f-]{36}/g) ?? []).flat()
  expect(ids.length).toBeGreaterThan(5)
  expect(ids.filter((id) => !there.has(id))).toEqual([])
}
