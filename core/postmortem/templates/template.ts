import type { ApiPostmortemAudience } from '../../api-types.ts'
import type { SectionWriter } from '../page.ts'

/** The sections of a post-mortem in order, by reader. */
export type Template = Record<ApiPostmortemAudience, readonly SectionWriter[]>
