import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { messageExample } from '../../ingest/message-schema.ts'
import { inRepository } from '../support/child.ts'

interface Workflow {
  nodes: {
    name: string
    type: string
    parameters: { events?: string[] }
    webhookId?: string
    credentials?: unknown
    retryOnFail?: boolean
    maxTries?: number
    waitBetweenTries?: number
    onError?: string
  }[]
  connections: Record<string, { main?: { node: string }[][] }>
  pinData: Record<string, { json: Record<string, unknown> }[]>
}

const FOLDER = inRepository('n8n-nodes/workflows')
/** Nodes that ask something elsewhere, an agent its model. */
const ASKING = /\.(tocsin|tocsinTool|slack|github|linear|jira|emailSend|postgres|httpRequest|agent)$/

describe.each(readdirSync(FOLDER))('%s', (file) => {
  const { nodes, connections, pinData } = JSON.parse(readFileSync(`${FOLDER}/${file}`, 'utf8')) as Workflow

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

  test('may be imported twice: n8n gives each trigger an address of its own', () => {
    const triggers = nodes.filter(({ type }) => type === 'n8n-nodes-tocsin.tocsinTrigger')
    expect(triggers.filter(({ webhookId }) => webhookId !== undefined)).toEqual([])
  })

  test('loses no step because a service fails once', () => {
    const asking = nodes.filter(({ type }) => ASKING.test(type))
    expect(asking.length).toBeGreaterThan(0)
    for (const { name, retryOnFail, maxTries, waitBetweenTries, onError } of asking) {
      // What makes something looks for it first, each time it tries.
      if (onError === 'continueErrorOutput') {
        expect(connections[name]?.main?.[1], name).toMatchObject([{ node: 'Wait a little' }])
        expect(connections['Wait a little']?.main?.[0]?.[0]?.node).toMatch(/^Find /)
      } else if (onError === undefined) {
        expect({ retryOnFail, maxTries, waitBetweenTries }, name).toEqual({
          retryOnFail: true,
          maxTries: 5,
          waitBetweenTries: 5000,
        })
      }
    }
    for (const { parameters } of nodes.filter(({ type }) => type === 'n8n-nodes-base.wait'))
      expect(parameters).toMatchObject({ amount: 5, unit: 'seconds' })
  })
})

test('the README lists them all', () => {
  const readme = readFileSync(inRepository('n8n-nodes/README.md'), 'utf8')
  const listed = Array.from(readme.matchAll(/\]\(workflows\/([a-z-]+\.json)\)/g), ([, file]) => file)
  expect(listed.sort()).toEqual(readdirSync(FOLDER).sort())
})
