import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { Key, KeyInput, nextCursor, Page } from '../schemas.ts'

export const keyRoutes = [
  defineRoute({
    id: 'createKey',
    method: 'post',
    path: '/projects/:project/keys',
    tag: 'Keys',
    summary: 'Create an API key for a project',
    scope: 'admin',
    body: KeyInput,
    status: 201,
    answer: z.object({ key: Key, secret: z.string().describe('The key itself, shown this once') }),
    run: (tocsin, { params, body }) => tocsin.createKey(params.project, body),
  }),
  defineRoute({
    id: 'listKeys',
    method: 'get',
    path: '/projects/:project/keys',
    tag: 'Keys',
    summary: 'List the API keys of a project, newest first',
    scope: 'admin',
    query: Page,
    status: 200,
    answer: z.object({ keys: z.array(Key), nextCursor }),
    run: (tocsin, { params, query }) => tocsin.listKeys(params.project, query),
  }),
  defineRoute({
    id: 'deleteKey',
    method: 'delete',
    path: '/projects/:project/keys/:key',
    tag: 'Keys',
    summary: 'Revoke an API key',
    scope: 'admin',
    status: 204,
    run: (tocsin, { params }) => tocsin.deleteKey(params.project, params.key),
  }),
]
