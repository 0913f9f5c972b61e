import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow'
import { SEVERITIES, source } from '../../../shared/fields.ts'
import { toAddress, wholeAnswer } from '../../requests.ts'
import { dedupeKey, description, drill, labels, services } from '../fields.ts'

export const send: INodePropertyOptions = {
  name: 'Send',
  value: 'send',
  action: 'Send an event',
  description: 'Tell Tocsin what a monitor sees, through a source of the generic webhook',
  routing: {
    request: { method: 'POST', url: '/webhooks/{project}/generic' },
    send: toAddress,
    output: wholeAnswer('outcome'),
  },
}

const show = { resource: ['event'], operation: ['send'] }

export const sendFields: INodeProperties[] = [
  {
    ...source,
    description: 'Through which source; may stay empty where the project has one of the generic webhook only',
    displayOptions: { show },
    modes: source.modes!.map((mode) =>
      mode.name === 'list'
        ? { ...mode, typeOptions: { searchListMethod: 'searchGenericSources', searchable: true } }
        : mode,
    ),
    routing: { send: { type: 'query', property: 'source', value: '={{ $value || undefined }}' } },
  },
  {
    displayName: 'Title',
    name: 'title',
    type: 'string',
    required: true,
    default: '',
    placeholder: 'e.g. Checkout is down',
    displayOptions: { show },
    routing: { send: { type: 'body', property: 'title' } },
  },
  {
    displayName: 'Action',
    name: 'action',
    type: 'options',
    options: [
      { name: 'Acknowledge', value: 'acknowledge' },
      { name: 'Resolve', value: 'resolve' },
      { name: 'Trigger', value: 'trigger' },
    ],
    default: 'trigger',
    displayOptions: { show },
    routing: { send: { type: 'body', property: 'action' } },
  },
  {
    displayName: 'Alert ID',
    name: 'alertId',
    type: 'string',
    default: '',
    placeholder: 'e.g. check-7',
    description: 'What is watched: the same ID triggers and resolves',
    displayOptions: { show },
    routing: { send: { type: 'body', property: 'id', value: '={{ $value || undefined }}' } },
  },
  {
    displayName: 'Severity',
    name: 'severity',
    type: 'options',
    options: SEVERITIES,
    default: 'medium',
    displayOptions: { show: { ...show, action: ['trigger'] } },
    routing: { send: { type: 'body', property: 'severity' } },
  },
  {
    displayName: 'Additional Fields',
    name: 'additionalFields',
    type: 'collection',
    placeholder: 'Add field',
    default: {},
    displayOptions: { show },
    options: [
      dedupeKey,
      description,
      drill('drill'),
      labels('labels'),
      {
        displayName: 'Link',
        name: 'url',
        type: 'string',
        default: '',
        placeholder: 'e.g. https://status.example.com/checks/7',
        description: 'Where to look, shown with the incident',
        routing: { send: { type: 'body', property: 'url', value: '={{ $value || undefined }}' } },
      },
      services('services'),
    ],
  },
]
