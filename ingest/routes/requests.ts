import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import {
  HookRequestDetail,
  HookRequestQuery,
  HookRequestSummary,
  nextCursor,
  Received,
  ReplayInput,
} from '../schemas.ts'

export const requestRoutes = [
  defineRoute({
    id: 'listRequests',
    method: 'get',
    path: '/projects/:project/requests',
    tag: 'Requests',
    summary: 'List the webhooks received, with what became of each, newest first',
    scope: 'sources:read',
    query: HookRequestQuery,
    status: 200,
    answer: z.object({ requests: z.array(HookRequestSummary), nextCursor }),
    run: (tocsin, { params, query }) => tocsin.listRequests(params.project, query),
  }),
  defineRoute({
    id: 'getRequest',
    method: 'get',
    path: '/projects/:project/requests/:request',
    tag: 'Requests',
    summary: 'Read a webhook received: headers, body and events',
    scope: 'sources:read',
    status: 200,
    answer: z.object({ request: HookRequestDetail }),
    run: (tocsin, { params }) => tocsin.getRequest(params.project, params.request),
  }),
  defineRoute({
    id: 'replayRequest',
    method: 'post',
    path: '/projects/:project/requests/:request/replay',
    tag: 'Requests',
    summary: 'Run a kept webhook again, at its original place in time',
    scope: 'sources:write',
    body: ReplayInput,
    status: 200,
    answer: Received,
    run: (tocsin, { params, body }) => tocsin.replayRequest(params.project, params.request, body),
  }),
]
