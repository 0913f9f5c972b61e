import type { INodeProperties, INodePropertyOptions } from 'n8n-workflow'
import { SEVERITIES } from '../../../shared/fields.ts'
import { answerOf, toSource } from '../../requests.ts'
import { drill, labels, services } from '../fields.ts'

export const configure: INodePropertyOptions = {
  name: 'Configure',
  value: 'configure',
  action: 'Configure a source',
  description: 'Change a source; named by its tool, it is created where there is none',
  routing: {
    request: { method: 'PATCH' },
    send: toSource,
    output: answerOf('source'),
  },
}

export const configureFields: INodeProperties[] = [
  {
    displayName: 'Fields to Set',
    name: 'fields',
    type: 'collection',
    placeholder: 'Add field',
    default: {},
    displayOptions: { show: { resource: ['source'], operation: ['configure'] } },
    options: [
      drill('settings.defaults.drill'),
      {
        displayName: 'Enabled',
        name: 'enabled',
        type: 'boolean',
        default: true,
        description: 'Whether the source may send; switched off, its requests are refused',
        routing: { send: { type: 'body', property: 'enabled' } },
      },
      {
        displayName: 'Grouping',
        name: 'grouping',
        type: 'options',
        options: [
          { name: 'Per Key', value: 'key', description: 'Alerts with the same group key share an incident' },
          {
            name: 'Per Project',
            value: 'project',
            description: 'Alerts join the current incident of the project',
          },
          {
            name: 'Per Signal',
            value: 'signal',
            description: 'Each thing that is watched has its own incidents',
          },
        ],
        default: 'project',
        routing: { send: { type: 'body', property: 'settings.grouping' } },
      },
      labels('settings.defaults.labels'),
      {
        displayName: 'Name',
        name: 'name',
        type: 'string',
        default: '',
        routing: { send: { type: 'body', property: 'name', value: '={{ $value || undefined }}' } },
      },
      {
        displayName: 'Reopen Window',
        name: 'reopenWindowMinutes',
        type: 'number',
        typeOptions: { minValue: 0 },
        default: 5,
        description: 'Minutes after a recovery in which a new alert reopens the incident',
        routing: { send: { type: 'body', property: 'settings.reopenWindowMinutes' } },
      },
      services('settings.defaults.services'),
      {
        displayName: 'Severity',
        name: 'severity',
        type: 'options',
        options: SEVERITIES,
        default: 'medium',
        description: 'Where the alert names none',
        routing: { send: { type: 'body', property: 'settings.defaults.severity' } },
      },
    ],
  },
]
