import type { Fault } from './fault.ts'
import { gracefulStop } from './graceful-stop.ts'
import { killNine } from './kill-nine.ts'

export const FAULTS: readonly Fault[] = [killNine, gracefulStop]
