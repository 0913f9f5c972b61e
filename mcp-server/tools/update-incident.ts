import { z } from 'zod'
import { defineTool, incidentId, note, project, untrusted } from '../define-tool.ts'
import { findProject, withIncident } from '../find.ts'
import { ToolError } from '../tool-error.ts'
import { incidentEntry, showIncident, strangeOfIncident } from './incident.ts'

const ACTIONS = ['acknowledge', 'resolve', 'reopen', 'note'] as const

export const updateIncident = defineTool({
  name: 'update_incident',
  config: {
    title: 'Update an incident',
    description:
      'Acknowledge, resolve or reopen an incident, or add a note to its timeline. Does not repair anything: only the record changes, and subscribers are told.',
    scopes: ['incidents:write'],
    input: z.strictObject({
      incidentId,
      action: z.enum(ACTIONS),
      note: note.optional().describe('Kept in the timeline; required for note'),
      project,
    }),
    output: z.object({
      action: z.string(),
      incident: incidentEntry.optional(),
      entryId: z.string().optional(),
      stillFiring: z.number().optional(),
      untrusted,
    }),
    annotations: {
      readOnlyHint: false,
      destructiveHint: false,
      idempotentHint: false,
      openWorldHint: false,
    },
  },

  async handler({ incidentId, action, note, project }, context) {
    if (action === 'note' && note === undefined) {
      throw new ToolError(
        'invalid_arguments',
        'note is missing: action "note" needs its text. Call update_incident again with note.',
      )
    }
    const projectId = await findProject(context, project)
    return withIncident(context, projectId, incidentId, async () => {
      const { tocsin, presenter } = context
      if (action === 'note') {
        const { entry } = await tocsin.addNote(projectId, incidentId, { text: note! })
        return presenter.present('The note is in the timeline.', { action, entryId: entry.id }, {})
      }
      const useCase = `${action}Incident` as const
      const answer = await tocsin[useCase](projectId, incidentId, note === undefined ? {} : { note })
      const { incident } = answer
      const stillFiring = 'stillFiring' in answer ? answer.stillFiring : undefined
      const warning = stillFiring
        ? ` ${stillFiring === 1 ? '1 signal still fires' : `${stillFiring} signals still fire`}: say so to the user.`
        : ''
      const isTooLate = action === 'acknowledge' && incident.status === 'resolved'
      const refusal = isTooLate
        ? ' What is resolved is not acknowledged: ask the user whether action "reopen" is meant first.'
        : ''
      return presenter.present(
        `${incident.reference} is ${incident.status}.${warning}${refusal}`,
        { action, incident: showIncident(incident), stillFiring },
        strangeOfIncident('incident.'),
      )
    })
  },
})
