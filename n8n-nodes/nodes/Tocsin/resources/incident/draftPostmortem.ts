import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow'
import { answerOf, toAddress } from '../../requests.ts'

export const draftPostmortem: INodePropertyOptions = {
  name: 'Draft Postmortem',
  value: 'draftPostmortem',
  action: 'Draft the postmortem of an incident',
  description: 'Draft a document whose facts cite what Tocsin recorded',
  routing: {
    request: { method: 'POST', url: '/projects/{project}/incidents/{incident}/postmortem' },
    send: toAddress,
    output: answerOf('postmortem'),
  },
}

const show = { resource: ['incident'], operation: ['draftPostmortem'] }

export const draftPostmortemFields: INodeProperties[] = [
  {
    displayName: 'Options',
    name: 'postmortemOptions',
    type: 'collection',
    placeholder: 'Add option',
    default: {},
    displayOptions: { show },
    options: [
      {
        displayName: 'Audience',
        name: 'audience',
        type: 'options',
        options: [
          { name: 'Customer', value: 'customer', description: 'Nothing of how the inside works' },
          { name: 'Internal', value: 'internal' },
        ],
        default: 'internal',
        routing: { send: { type: 'body', property: 'audience' } },
      },
      {
        displayName: 'Dry Run',
        name: 'dryRun',
        type: 'boolean',
        default: true,
        description: 'Whether to draft only, and store no revision in Tocsin',
        routing: { send: { type: 'body', property: 'dryRun' } },
      },
      {
        displayName: 'Template',
        name: 'template',
        type: 'options',
        options: [
          { name: 'Brief', value: 'brief' },
          { name: 'Five Whys', value: 'five_whys' },
          { name: 'Standard', value: 'standard' },
        ],
        default: 'standard',
        routing: { send: { type: 'body', property: 'template' } },
      },
    ],
  },
]
