import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { nextCursor, Page, ToolCall, ToolCallInput } from '../schemas.ts'

export const auditRoutes = [
  defineRoute({
    id: 'recordToolCall',
    method: 'post',
    path: '/audit',
    tag: 'Audit',
    summary: "Record a call of an assistant's tool, under the name of the calling key",
    scope: null,
    body: ToolCallInput,
    status: 204,
    run: (tocsin, { body }) => tocsin.recordToolCall(body),
  }),
  defineRoute({
    id: 'listToolCalls',
    method: 'get',
    path: '/projects/:project/audit',
    tag: 'Audit',
    summary: "List the calls of assistants' tools of the last 90 days, newest first",
    scope: 'admin',
    query: Page,
    status: 200,
    answer: z.object({ toolCalls: z.array(ToolCall), nextCursor }),
    run: (tocsin, { params, query }) => tocsin.listToolCalls(params.project, query),
  }),
]
