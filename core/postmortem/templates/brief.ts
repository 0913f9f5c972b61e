import * as customer from '../customer-sections.ts'
import * as inside from '../sections.ts'
import type { Template } from './template.ts'

/** One screen: what happened, whom it hit, what is to be done. */
export const brief: Template = {
  internal: [inside.summary, inside.impact, inside.actions, inside.questions],
  customer: [customer.summary, customer.questions],
}
