import type { INodeProperties } from 'n8n-workflow'
import { withDedupeKey } from '../requests.ts'

/** Parameters of more than one resource, each with its place in the body. */

// An agent may give a list where people write commas.
const WORDS = '={{ [$value].flat().join(",").split(",").map((one) => one.trim()).filter((one) => one) }}'
// A row that was added and left empty is no label.
const PAIRS =
  '={{ Object.fromEntries(($value.label ?? []).filter(({ name, value }) => name || value).map(({ name, value }) => [name ?? "", value ?? ""])) }}'

export const description: INodeProperties = {
  displayName: 'Description',
  name: 'description',
  type: 'string',
  typeOptions: { rows: 3 },
  default: '',
  routing: { send: { type: 'body', property: 'description', value: '={{ $value || undefined }}' } },
}

export function drill(property: string): INodeProperties {
  return {
    displayName: 'Drill',
    name: 'drill',
    type: 'boolean',
    default: true,
    description: 'Whether this is an exercise: nobody is told unless they asked for drills',
    routing: { send: { type: 'body', property } },
  }
}

export function labels(property: string): INodeProperties {
  return {
    displayName: 'Labels',
    name: 'labels',
    type: 'fixedCollection',
    typeOptions: { multipleValues: true },
    placeholder: 'Add label',
    default: {},
    options: [
      {
        displayName: 'Label',
        name: 'label',
        values: [
          { displayName: 'Name', name: 'name', type: 'string', default: '', placeholder: 'e.g. team' },
          { displayName: 'Value', name: 'value', type: 'string', default: '', placeholder: 'e.g. shop' },
        ],
      },
    ],
    routing: { send: { type: 'body', property, value: PAIRS } },
  }
}

export function services(property: string): INodeProperties {
  return {
    displayName: 'Services',
    name: 'services',
    type: 'string',
    default: '',
    placeholder: 'e.g. checkout, payments',
    description: 'Separated by commas; the first is the primary one',
    routing: { send: { type: 'body', property, value: WORDS } },
  }
}

export const dedupeKey: INodeProperties = {
  displayName: 'Dedupe Key',
  name: 'dedupeKey',
  type: 'string',
  default: '',
  placeholder: 'e.g. deploy-4711',
  description: 'A request with the same key does nothing a second time, so that the node may be run again',
  routing: { send: withDedupeKey },
}
