import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { OwnKey } from '../schemas.ts'

export const meRoutes = [
  defineRoute({
    id: 'me',
    method: 'get',
    path: '/me',
    tag: 'Keys',
    summary: 'Read the key that is calling',
    scope: null,
    status: 200,
    answer: z.object({ key: OwnKey }),
    run: (tocsin) => tocsin.me(),
  }),
]
