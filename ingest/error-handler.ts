import { type Log, TocsinError } from '@tocsin/core'
import type { ErrorRequestHandler, Response } from 'express'
import { answerError, answerInternalError, newRequestId, requestIdOf } from './answer.ts'
import { envelopeAt } from './envelopes.ts'
import { SenderGone } from './read-body.ts'

/** On receiving paths a fault of ours is a 503: senders try again after it, but give up after a 500. */
export function receivingErrorHandler(log: Log): ErrorRequestHandler {
  return handleWith({
    refusal: (error, res) => answerError(res, error, envelopeAt(res.req.url ?? '')),
    bug: (error, res) => {
      const requestId = newRequestId()
      log('error', 'receiving failed', { requestId, err: error })
      const message = 'Not taken, through a fault of ours: send it again.'
      answerError(res, new TocsinError('unavailable', message, { requestId }), envelopeAt(res.req.url ?? ''))
    },
  })
}

/** Everywhere else a fault of ours is a plain 500, and a 401 tells how to authenticate. */
export function apiErrorHandler(log: Log): ErrorRequestHandler {
  return handleWith({
    refusal: (error, res) => {
      if (error.code === 'unauthorized') res.setHeader('WWW-Authenticate', 'Bearer realm="tocsin"')
      answerError(res, error)
    },
    bug: (error, res) => {
      const requestId = requestIdOf(res) ?? newRequestId()
      log('error', 'request failed', { requestId, err: error })
      answerInternalError(res, requestId)
    },
  })
}

function handleWith(answer: {
  refusal(error: TocsinError, res: Response): void
  bug(error: unknown, res: Response): void
}): ErrorRequestHandler {
  // Express knows an error handler by its four arguments.
  return (error: unknown, _req, res, _next) => {
    if (error instanceof SenderGone || res.headersSent) res.destroy()
    else if (error instanceof TocsinError) answer.refusal(error, res)
    else if (isBadPath(error)) answer.refusal(badPath(), res)
    else answer.bug(error, res)
  }
}

/** The router could not decode a part of the path. */
function isBadPath(error: unknown): boolean {
  return error instanceof URIError && 'status' in error && error.status === 400
}

function badPath(): TocsinError {
  return new TocsinError('invalid_request', 'The path has a percent sign that begins no escape: send %25.')
}
