import type { INodeProperties } from 'n8n-workflow'
import { acknowledge } from './acknowledge.ts'
import { addNote } from './addNote.ts'
import { create, createFields } from './create.ts'
import { draftPostmortem, draftPostmortemFields } from './draftPostmortem.ts'
import { incident, note, noteText, simplify } from './fields.ts'
import { get } from './get.ts'
import { getMany, getManyFields } from './getMany.ts'
import { reopen } from './reopen.ts'
import { resolve } from './resolve.ts'

export const incidentProperties: INodeProperties[] = [
  {
    displayName: 'Operation',
    name: 'operation',
    type: 'options',
    noDataExpression: true,
    displayOptions: { show: { resource: ['incident'] } },
    options: [acknowledge, addNote, create, draftPostmortem, get, getMany, reopen, resolve],
    default: 'getAll',
  },
  incident,
  note,
  noteText,
  ...createFields,
  ...draftPostmortemFields,
  ...getManyFields,
  simplify,
]
