import { MESSAGE_TYPES, TocsinError } from '@tocsin/core'
import { Router } from 'express'
import { answerError, answerJson } from '../answer.ts'
import { listMessageSchemas, messageSchema } from '../message-schema.ts'

/** The published JSON Schema of each type of message, without a key: receivers' authors read them. */
export function messageSchemaRoutes(): Router {
  const router = Router({ caseSensitive: true })
  const schemas = new Map<string, unknown>(MESSAGE_TYPES.map((type) => [type, messageSchema(type)]))
  const list = listMessageSchemas()
  router.get('/api/v1/schemas', (_req, res) => answerJson(res, 200, list))
  router.get('/api/v1/schemas/:type.json', (req, res) => {
    const schema = schemas.get(req.params.type)
    if (schema) return answerJson(res, 200, schema)
    const message = `type: there is no such message. There are ${MESSAGE_TYPES.join(', ')}.`
    return answerError(res, new TocsinError('not_found', message))
  })
  return router
}
