import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { Postmortem, PostmortemInput, PostmortemQuery, PostmortemRevision } from '../schemas.ts'

const OnePostmortem = z.object({ postmortem: Postmortem })

export const postmortemRoutes = [
  defineRoute({
    id: 'draftPostmortem',
    method: 'post',
    path: '/projects/:project/incidents/:incident/postmortem',
    tag: 'Post-mortems',
    summary:
      'Draft a post-mortem from the facts, and store it as a revision; a dry run needs incidents:read only',
    scope: 'incidents:write',
    body: PostmortemInput,
    status: 201,
    statusOf: ({ postmortem }) => (postmortem.revision === null ? 200 : 201),
    answer: OnePostmortem,
    run: (tocsin, { params, body }) => tocsin.draftPostmortem(params.project, params.incident, body),
  }),
  defineRoute({
    id: 'getPostmortem',
    method: 'get',
    path: '/projects/:project/incidents/:incident/postmortem',
    tag: 'Post-mortems',
    summary: 'Read the latest revision of a post-mortem, or another one',
    scope: 'incidents:read',
    query: PostmortemQuery,
    status: 200,
    answer: OnePostmortem,
    markdownOf: ({ postmortem }) => postmortem.markdown,
    run: (tocsin, { params, query: { format: _format, ...query } }) =>
      tocsin.getPostmortem(params.project, params.incident, query),
  }),
  defineRoute({
    id: 'savePostmortem',
    method: 'put',
    path: '/projects/:project/incidents/:incident/postmortem',
    tag: 'Post-mortems',
    summary: 'Store your own text as a new revision; what the facts do not support is flagged',
    scope: 'incidents:write',
    body: PostmortemRevision,
    status: 200,
    answer: OnePostmortem,
    run: (tocsin, { params, body }) => tocsin.savePostmortem(params.project, params.incident, body),
  }),
]
