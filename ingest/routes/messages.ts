import { z } from 'zod'
import { defineRoute } from '../define-route.ts'
import { Attempt, Message, MessageReplayInput } from '../schemas.ts'

export const messageRoutes = [
  defineRoute({
    id: 'getMessage',
    method: 'get',
    path: '/projects/:project/messages/:message',
    tag: 'Messages',
    summary: 'Read a message with its attempts, oldest first',
    scope: 'endpoints:read',
    status: 200,
    answer: z.object({ message: Message, attempts: z.array(Attempt) }),
    run: (tocsin, { params }) => tocsin.getMessage(params.project, params.message),
  }),
  defineRoute({
    id: 'replayMessage',
    method: 'post',
    path: '/projects/:project/messages/:message/replay',
    tag: 'Messages',
    summary: 'Send a message again, with the same id',
    scope: 'endpoints:write',
    body: MessageReplayInput,
    status: 200,
    answer: z.object({ message: Message }),
    run: (tocsin, { params }) => tocsin.replayMessage(params.project, params.message),
  }),
]
