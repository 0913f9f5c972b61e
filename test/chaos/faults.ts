import type { Fault } from './fault.ts'
import { gracefulStop } from './graceful-stop.ts'
import { killNine } from './kill-nine.ts'
import { locked } from './locked.ts'
import { noConnections } from './no-connections.ts'
import { postgresAway } from './postgres-away.ts'
import { races } from './races.ts'

export const FAULTS: readonly Fault[] = [killNine, locked, postgresAway, noConnections, races, gracefulStop]
