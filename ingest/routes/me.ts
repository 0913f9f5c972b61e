import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { Key } from '../schemas.ts'

export const meRoutes = [
  defineRoute({
    id: 'me',
    method: 'get',
    path: '/me',
    tag: 'Keys',
    summary: 'Read the key that is calling',
    scope: null,
    status: 200,
    answer: z.object({ key: Key.pick({ id: true, name: true, scopes: true, projectId: true }) }),
    run: (tocsin) => tocsin.me(),
  }),
]
