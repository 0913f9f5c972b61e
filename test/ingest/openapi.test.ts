import type { Express } from 'express'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createApp, operations } from '../../ingest/app.ts'
import { openApiDocument } from '../../ingest/openapi.ts'
import { serve } from './serve.ts'
import { stubTocsin } from './stub-tocsin.ts'

const document = openApiDocument(operations)
const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'options']

interface Layer {
  route?: { path: string; methods: Record<string, boolean> }
  handle: { stack?: Layer[] }
}

describe('the document', () => {
  test('lists what the router answers, and nothing else', () => {
    const app = createApp({ tocsin: stubTocsin(), config: { trustProxy: [] }, log: () => {} })
    expect(documented()).toEqual(routed(app))
  })

  test('is served without a key', async () => {
    const { url } = await serve({ tocsin: stubTocsin() })
    const response = await fetch(`${url}/api/v1/openapi.json`)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual(JSON.parse(JSON.stringify(document)))
  })

  test('refers to nothing it lacks', () => {
    const text = JSON.stringify(document)
    const refs = [...text.matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)]
    expect(refs.length).toBeGreaterThan(100)
    expect(text.match(/"\$ref"/g)).toHaveLength(refs.length)
    for (const [, kind, name] of refs) {
      expect(document.components[kind as keyof typeof document.components]).toHaveProperty(name!)
    }
  })

  test('names each operation once and tells each parameter of its path', () => {
    const all = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map((operation) => ({ path, operation })),
    )
    const ids = all.map(({ operation }) => operation.operationId)
    expect(ids).not.toContain(undefined)
    expect(new Set(ids).size).toBe(ids.length)

    for (const { path, operation } of all) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      const told = (
        (operation.parameters ?? []) as { in: string; name: string; description?: string }[]
      ).filter((parameter) => parameter.in === 'path')
      expect(told.map(({ name }) => name)).toEqual(inPath)
      for (const { description } of told) expect(description).toBeTruthy()
    }
  })

  test('says lists of a query as one parameter with commas', () => {
    const list = document.paths['/api/v1/projects/{project}/incidents']?.get?.parameters
    expect(list).toContainEqual(
      expect.objectContaining({ name: 'status', in: 'query', style: 'form', explode: false }),
    )
  })
})

describe('the receiving addresses', () => {
  const at = (path: string, method: string) =>
    document.paths[path]![method] as {
      parameters: { name: string; in: string }[]
      requestBody: { required: boolean; content: Record<string, unknown> }
    }
  const queryAt = (path: string, method: string) =>
    at(path, method)
      .parameters.filter((parameter) => parameter.in === 'query')
      .map(({ name }) => name)
  const PROJECT = '/api/v1/webhooks/{projectId}/{adapter}'
  const SHARED = [PROJECT, '/api/webhooks/{adapter}/{token}', '/webhooks/{token}']
  const IRM = '/api/experimental/incoming-webhooks/grafana.incident.create'

  test.each(SHARED)('%s tells what Uptime Kuma says by GET, and json(path) by POST', (path) => {
    const source = path === PROJECT ? ['source'] : []
    expect(queryAt(path, 'get')).toEqual([...source, 'msg', 'heartbeat', 'monitor'])
    expect(queryAt(path, 'post')).toEqual(expect.arrayContaining(['title', 'id', 'action', 'severity']))
    expect(queryAt(path, 'put')).toEqual(source)
  })

  test('list the types their tools take besides JSON', () => {
    const types = (path: string, method = 'post') =>
      Object.keys(at(path, method).requestBody.content).toSorted()
    for (const path of SHARED) {
      expect(types(path)).toEqual(
        expect.arrayContaining([
          'application/json',
          'application/x-www-form-urlencoded',
          'multipart/form-data',
          'text/plain',
        ]),
      )
      expect(types(path, 'put')).toEqual(['application/json'])
    }
    expect(types(IRM)).toEqual(['*/*', 'application/json'])
    expect(at(IRM, 'post').requestBody.required).toBe(false)
    expect(types('/v2/enqueue')).toEqual(['application/json'])
    expect(at('/v2/enqueue', 'post').requestBody.required).toBe(true)
  })
})

describe.each(operations)('$method $path', (operation) => {
  test('answers what it declares', async () => {
    const { api } = await serve({ tocsin: stubTocsin() })
    const path = operation.path.replaceAll(/:\w+/g, 'x')
    const sent = BODIES[operation.id]
    const { status, body } = await api(operation.method.toUpperCase(), path, sent)

    expect(status).toBe(operation.status)
    // A schema drops members it does not know, so an equal body has none.
    if (operation.answer) expect(operation.answer.parse(body)).toEqual(body)
    else expect(body).toBeNull()
  })

  test('declares an answer unless it has none', () => {
    expect(operation.answer === undefined).toBe(operation.status === 204)
    if (operation.answer) expect(() => z.toJSONSchema(operation.answer!)).not.toThrow()
  })
})

/** Bodies of the operations that cannot do without. */
const BODIES: Partial<Record<string, unknown>> = {
  createProject: { name: 'a' },
  createSource: { adapter: 'generic' },
  previewSource: { adapter: 'generic', sample: { title: 'Down' } },
  createIncident: { title: 'Down' },
  addNote: { text: 'Looking.' },
  savePostmortem: { markdown: '# Down' },
  createEndpoint: { url: 'https://example.com/webhooks' },
  createKey: { name: 'k', scopes: ['incidents:read'] },
  recordToolCall: { projectId: null, tool: 'list_incidents', arguments: {}, outcome: 'ok', durationMs: 3 },
}

function documented(): string[] {
  return Object.entries(document.paths)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
    .sort()
}

/** Every method and path of the running router, in the document's way of writing. */
function routed(app: Express): string[] {
  const walk = (layers: Layer[], base: string): string[] =>
    layers.flatMap((layer) => {
      if (layer.handle.stack) return walk(layer.handle.stack, basePath(layer, base))
      if (!layer.route) return []
      const { path, methods } = layer.route
      const template = (base + path).replaceAll(/:(\w+)/g, '{$1}')
      return METHODS.filter((method) => methods[method]).map((method) => `${method} ${template}`)
    })
  return walk((app.router as unknown as { stack: Layer[] }).stack, '').sort()
}

/** Express keeps no text of the path a router is mounted at; the API's is the one that answers below it. */
function basePath(layer: Layer, base: string): string {
  const matches = (layer as unknown as { match(path: string): boolean }).match('/other/x')
  return matches ? base : `${base}/api/v1`
}
