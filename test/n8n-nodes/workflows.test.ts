import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { messageExample } from '../../ingest/message-schema.ts'
import { inRepository } from '../support/child.ts'

interface Workflow {
  nodes: { name: string; type: string; parameters: { events?: string[] }; credentials?: unknown }[]
  pinData: Record<string, { json: Record<string, unknown> }[]>
}

const FOLDER = inRepository('n8n-nodes/workflows')

describe.each(readdirSync(FOLDER))('%s', (file) => {
  const { nodes, pinData } = JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Workflow

  test('brings the sample of its first event, as published, and nobody to log in as', () => {
    const trigger = nodes.find(({ type }) => type === 'n8n-nodes-tocsin.tocsinTrigger')
    const samples = Object.values(pinData).flat()
    expect(samples).toHaveLength(trigger ? 1 : 0)
    for (const { json } of samples) {
      const { webhookId, ...message } = json
      expect(webhookId).toEqual(expect.any(String))
      const events = trigger!.parameters.events!
      const type = events.includes('incident.opened') ? 'incident.opened' : 'incident.resolved'
      expect(message).toEqual(messageExample(type))
    }
    expect(nodes.filter(({ credentials }) => credentials)).toEqual([])
  })
})

test('the README lists them all', () => {
  const readme = readFileSync(inRepository('n8n-nodes/README.md'), 'utf8')
  const listed = Array.from(readme.matchAll(/\]\(workflows\/([a-z-]+\.json)\)/g), ([, file]) => file)
  expect(listed.sort()).toEqual(readdirSync(FOLDER).sort())
})
