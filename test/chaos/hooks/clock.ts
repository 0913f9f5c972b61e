/**
 * Loaded into the product's process by `--import`: its clock is CHAOS_CLOCK_MS ahead of that of the machine, and jumps by
 * CHAOS_JUMP_MS more at each SIGUSR2. Timers and the clock that never goes back are left alone, as they are by a jump.
 */
const RealDate = Date
let aheadMs = Number(process.env.CHAOS_CLOCK_MS ?? 0)
process.on('SIGUSR2', () => {
  aheadMs += Number(process.env.CHAOS_JUMP_MS ?? 0)
})

class ShiftedDate extends RealDate {
  constructor(...given: [] | [string | number | Date]) {
    super(given.length === 0 ? ShiftedDate.now() : given[0])
  }

  static override now(): number {
    return RealDate.now() + aheadMs
  }
}

globalThis.Date = new Proxy(ShiftedDate, {
  // With several numbers it means a calendar date, which no clock changes.
  construct: (target, given) =>
    given.length > 1 ? Reflect.construct(RealDate, given) : Reflect.construct(target, given),
}) as unknown as DateConstructor
