import type { INodeProperties } from 'n8n-workflow'
import { send, sendFields } from './send.ts'

export const eventProperties: INodeProperties[] = [
  {
    displayName: 'Operation',
    name: 'operation',
    type: 'options',
    noDataExpression: true,
    displayOptions: { show: { resource: ['event'] } },
    options: [send],
    default: 'send',
  },
  ...sendFields,
]
