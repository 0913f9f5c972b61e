import type { INodePropertyOptions } from 'n8n-workflow'
import { answerOf, toAddress } from '../../requests.ts'

export const addNote: INodePropertyOptions = {
  name: 'Add Note',
  value: 'addNote',
  action: 'Add a note to an incident',
  description: 'Write into the timeline of an incident',
  routing: {
    request: { method: 'POST', url: '/projects/{project}/incidents/{incident}/notes' },
    send: toAddress,
    output: answerOf('entry'),
  },
}
