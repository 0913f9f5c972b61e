import type { OpenedTocsin } from '@tocsin/core'
import { Router } from 'express'
import { answerJson } from '../answer.ts'

/** `/healthz`: the process is alive. `/readyz`: it may be sent work. */
export function healthRoutes(tocsin: OpenedTocsin, isStopping: () => boolean): Router {
  const router = Router({ caseSensitive: true })

  router.get('/healthz', (_req, res) => answerJson(res, 200, { status: 'ok' }))

  router.get('/readyz', async (_req, res) => {
    const reason = isStopping() ? 'stopping' : (await isReady(tocsin)) ? null : 'database'
    if (reason === null) answerJson(res, 200, { status: 'ready' })
    else answerJson(res, 503, { status: 'not ready', reason })
  })

  return router
}

async function isReady(tocsin: OpenedTocsin): Promise<boolean> {
  try {
    return await tocsin.isReady()
  } catch {
    // Whatever keeps it from telling keeps it from working.
    return false
  }
}
