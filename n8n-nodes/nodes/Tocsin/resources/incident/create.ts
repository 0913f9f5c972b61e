import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow'
import { SEVERITIES } from '../../../shared/fields.ts'
import { answerOf, toAddress } from '../../requests.ts'
import { dedupeKey, description, drill, labels, services } from '../fields.ts'

export const create: INodePropertyOptions = {
  name: 'Create',
  value: 'create',
  action: 'Create an incident',
  description: 'Open an incident by hand',
  routing: {
    request: { method: 'POST', url: '/projects/{project}/incidents' },
    send: toAddress,
    output: answerOf('incident'),
  },
}

const show = { resource: ['incident'], operation: ['create'] }

export const createFields: INodeProperties[] = [
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
    displayName: 'Severity',
    name: 'severity',
    type: 'options',
    options: SEVERITIES,
    default: 'medium',
    displayOptions: { show },
    routing: { send: { type: 'body', property: 'severity' } },
  },
  {
    displayName: 'Additional Fields',
    name: 'additionalFields',
    type: 'collection',
    placeholder: 'Add field',
    default: {},
    displayOptions: { show },
    options: [dedupeKey, description, drill('drill'), labels('labels'), services('services')],
  },
]
