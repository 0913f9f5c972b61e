import * as customer from '../customer-sections.ts'
import * as inside from '../sections.ts'
import type { Template } from './template.ts'

/** Everything the facts give. */
export const standard: Template = {
  internal: [
    inside.summary,
    inside.impact,
    inside.detection,
    inside.timeline,
    inside.signals,
    inside.response,
    inside.factors,
    inside.wentWell,
    inside.wentBadly,
    inside.actions,
    inside.questions,
    inside.earlierIncidents,
  ],
  customer: [customer.summary, customer.impact, customer.timeline, customer.questions],
}
