import type { INodeProperties } from 'n8n-workflow'
import { source } from '../../../shared/fields.ts'
import { configure, configureFields } from './configure.ts'
import { getWebhookUrl } from './getWebhookUrl.ts'

export const sourceProperties: INodeProperties[] = [
  {
    displayName: 'Operation',
    name: 'operation',
    type: 'options',
    noDataExpression: true,
    displayOptions: { show: { resource: ['source'] } },
    options: [configure, getWebhookUrl],
    default: 'getWebhookUrl',
  },
  {
    ...source,
    required: true,
    description: 'A monitoring tool that may send to the project',
    displayOptions: { show: { resource: ['source'] } },
    modes: [
      ...source.modes!,
      {
        displayName: 'By Tool',
        name: 'tool',
        type: 'string',
        placeholder: 'e.g. sentry',
        hint: 'The only source of this tool; Configure creates it where there is none',
      },
    ],
  },
  ...configureFields,
]
