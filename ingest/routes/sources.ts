import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import {
  nextCursor,
  Page,
  Received,
  RotateInput,
  Source,
  SourceInput,
  SourcePatch,
  SourceTestInput,
} from '../schemas.ts'

const OneSource = z.object({ source: Source })

const SourceWithSecret = OneSource.extend({
  secret: z.string().optional().describe('Shown in this answer; absent where the address is the credential'),
})

export const sourceRoutes = [
  defineRoute({
    method: 'post',
    path: '/projects/:project/sources',
    tag: 'Sources',
    summary: 'Create a source: a monitoring tool that may send to the project',
    scope: 'sources:write',
    body: SourceInput,
    status: 201,
    answer: SourceWithSecret,
    run: (tocsin, { params, body }) => tocsin.createSource(params.project, body),
  }),
  defineRoute({
    method: 'get',
    path: '/projects/:project/sources',
    tag: 'Sources',
    summary: 'List the sources of a project, newest first',
    scope: 'sources:read',
    query: Page,
    status: 200,
    answer: z.object({ sources: z.array(Source), nextCursor }),
    run: (tocsin, { params, query }) => tocsin.listSources(params.project, query),
  }),
  defineRoute({
    method: 'get',
    path: '/projects/:project/sources/:source',
    tag: 'Sources',
    summary: 'Read a source with its health and what its settings come to',
    scope: 'sources:read',
    status: 200,
    answer: OneSource,
    run: (tocsin, { params }) => tocsin.getSource(params.project, params.source),
  }),
  defineRoute({
    method: 'patch',
    path: '/projects/:project/sources/:source',
    tag: 'Sources',
    summary: 'Change name or settings of a source, or switch it on and off',
    scope: 'sources:write',
    body: SourcePatch,
    status: 200,
    answer: OneSource,
    run: (tocsin, { params, body }) => tocsin.updateSource(params.project, params.source, body),
  }),
  defineRoute({
    method: 'delete',
    path: '/projects/:project/sources/:source',
    tag: 'Sources',
    summary: 'Delete a source; its incidents stay',
    scope: 'sources:write',
    status: 204,
    run: (tocsin, { params }) => tocsin.deleteSource(params.project, params.source),
  }),
  defineRoute({
    method: 'post',
    path: '/projects/:project/sources/:source/rotate',
    tag: 'Sources',
    summary: 'Give a source a new credential',
    scope: 'sources:write',
    body: RotateInput,
    status: 200,
    answer: SourceWithSecret,
    run: (tocsin, { params, body }) => tocsin.rotateSource(params.project, params.source, body),
  }),
  defineRoute({
    method: 'post',
    path: '/projects/:project/sources/:source/test',
    tag: 'Sources',
    summary: 'Send a request through the real path, as a drill that opens and recovers',
    scope: 'sources:write',
    body: SourceTestInput,
    status: 200,
    answer: z.object({
      success: z.boolean(),
      reference: z.string().nullable(),
      incidentId: z.string().nullable(),
      answers: z.array(Received),
    }),
    run: (tocsin, { params }) => tocsin.testSource(params.project, params.source),
  }),
]
