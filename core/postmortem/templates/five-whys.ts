import * as inside from '../sections.ts'
import { standard } from './standard.ts'
import type { Template } from './template.ts'

/** For the meeting that looks for the cause. Customers get the standard page: whys are for the inside. */
export const fiveWhys: Template = {
  internal: [
    inside.summary,
    inside.timeline,
    inside.fiveWhys,
    inside.factors,
    inside.actions,
    inside.questions,
    inside.earlierIncidents,
  ],
  customer: standard.customer,
}
