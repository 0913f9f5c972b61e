import type { INodePropertyOptions } from 'n8n-workflow'
import { answerOf, toAddress } from '../../requests.ts'

export const reopen: INodePropertyOptions = {
  name: 'Reopen',
  value: 'reopen',
  action: 'Reopen an incident',
  description: 'Open a resolved incident again',
  routing: {
    request: { method: 'POST', url: '/projects/{project}/incidents/{incident}/reopen' },
    send: toAddress,
    output: answerOf('incident'),
  },
}
