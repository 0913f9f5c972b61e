import { defineRoute } from '../define-route.ts'
import { Metrics, MetricsQuery } from '../schemas.ts'

export const metricsRoutes = [
  defineRoute({
    id: 'getMetrics',
    method: 'get',
    path: '/projects/:project/metrics',
    tag: 'Metrics',
    summary: 'How long incidents of a project wait to be acknowledged and to be resolved',
    scope: 'incidents:read',
    query: MetricsQuery,
    status: 200,
    answer: Metrics,
    run: (tocsin, { params, query }) => tocsin.getMetrics(params.project, query),
  }),
]
