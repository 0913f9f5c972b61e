import { backlogOfAMillion } from './backlog-of-a-million.ts'
import { burst } from './burst.ts'
import { clockJumps } from './clock-jumps.ts'
import { DISK_FAULTS } from './disk.ts'
import type { Fault } from './fault.ts'
import { frozenPeer } from './frozen-peer.ts'
import { gracefulStop } from './graceful-stop.ts'
import { killNine } from './kill-nine.ts'
import { locked } from './locked.ts'
import { noConnections } from './no-connections.ts'
import { postgresAway } from './postgres-away.ts'
import { POSTGRES_FULL } from './postgres-full.ts'
import { races } from './races.ts'
import { soak } from './soak.ts'

export const FAULTS: readonly Fault[] = [
  killNine,
  ...DISK_FAULTS,
  ...POSTGRES_FULL,
  locked,
  postgresAway,
  noConnections,
  races,
  clockJumps,
  gracefulStop,
  frozenPeer,
]

export const ON_DEMAND: readonly Fault[] = [backlogOfAMillion, soak, burst]
