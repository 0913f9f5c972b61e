import type { INodePropertyOptions } from 'n8n-workflow'
import { answerOf, toAddress } from '../../requests.ts'

export const acknowledge: INodePropertyOptions = {
  name: 'Acknowledge',
  value: 'acknowledge',
  action: 'Acknowledge an incident',
  description: 'Say that someone is on it; on one that is acknowledged or resolved nothing changes',
  routing: {
    request: { method: 'POST', url: '/projects/{project}/incidents/{incident}/acknowledge' },
    send: toAddress,
    output: answerOf('incident'),
  },
}
