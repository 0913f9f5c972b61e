import type { INodePropertyOptions } from 'n8n-workflow'
import { answerOf, toAddress } from '../../requests.ts'

export const get: INodePropertyOptions = {
  name: 'Get',
  value: 'get',
  action: 'Get an incident',
  description: 'Read one incident',
  routing: {
    request: { method: 'GET', url: '/projects/{project}/incidents/{incident}' },
    send: toAddress,
    output: answerOf('incident'),
  },
}
