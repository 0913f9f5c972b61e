import type { ApiSource, Tocsin } from '@tocsin/core'

/** What stands in the place of a secret. */
export const MASKED = '********'

/**
 * The use-cases for assistants of a key that does not name `secrets:read`: no answer holds a secret, whatever else the
 * key may do. Over HTTP `admin` implies that scope; what reaches a model is another matter.
 */
export function maskSecrets(tocsin: Tocsin): Tocsin {
  return {
    ...tocsin,
    listSources: async (...given) => {
      const { sources, nextCursor } = await tocsin.listSources(...given)
      return { sources: sources.map(masked), nextCursor }
    },
    getSource: async (...given) => ({ source: masked((await tocsin.getSource(...given)).source) }),
    updateSource: async (...given) => ({ source: masked((await tocsin.updateSource(...given)).source) }),
    createSource: async (project, input) => {
      const { source, reveal } = await tocsin.createSource(project, { ...input, reveal: true })
      return { source: masked(source), ...(reveal && { reveal }) }
    },
    rotateSource: async (project, source, input) => {
      const answer = await tocsin.rotateSource(project, source, { ...input, reveal: true })
      return { source: masked(answer.source), ...(answer.reveal && { reveal: answer.reveal }) }
    },
  }
}

function masked(source: ApiSource): ApiSource {
  if (source.address !== 'token') return { ...source, secret: MASKED }
  const url = source.url.replace(/[^/]+$/, MASKED)
  return {
    ...source,
    url,
    setup: source.setup.map(({ step }) => ({ step: step.replaceAll(source.url, url) })),
  }
}
