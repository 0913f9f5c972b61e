import type { INodePropertyOptions } from 'n8n-workflow'
import { answerOf, toAddress } from '../../requests.ts'

export const resolve: INodePropertyOptions = {
  name: 'Resolve',
  value: 'resolve',
  action: 'Resolve an incident',
  description: 'End an incident by hand; on one that is resolved nothing changes',
  routing: {
    request: { method: 'POST', url: '/projects/{project}/incidents/{incident}/resolve' },
    send: toAddress,
    output: answerOf('incident'),
  },
}
