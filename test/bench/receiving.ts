import { type Case, type CaseResult, measureCase } from './measure-case.ts'
import { caseTable, tablesTable } from './report.ts'
import { type Bound, type Outcome, runSuite, type Suite } from './suite.ts'
import type { VariantName } from './variants.ts'

export interface ReceivingCase extends Case {
  variants: readonly VariantName[]
  /** Whose tables are listed with what each takes on the disk. */
  tablesOf?: VariantName
}

/** A bound on what one case shows. */
export interface ReceivingGate {
  case: string
  what: string
  value: (result: CaseResult) => number
  bound: Bound
}

/** A suite that sends to servers and compares them. */
export function receivingSuite({
  suite,
  packages,
  cases,
  gates,
}: {
  suite: string
  /** Whose versions matter. */
  packages: readonly string[]
  cases: readonly ReceivingCase[]
  gates: readonly ReceivingGate[]
}): Suite {
  return {
    names: cases.map(({ name }) => name),
    bench: ({ rounds, names, print }) =>
      runSuite({
        suite,
        rounds,
        packages,
        print,
        cases: cases
          .filter(({ name }) => names.includes(name))
          .map((one) => async () => {
            const result = await measureCase(one, { rounds, variants: one.variants })
            const outcome = receivingOutcome(result, gates)
            if (!one.tablesOf) return outcome
            return { ...outcome, table: `${outcome.table}\n\n${tablesTable(result.variants[one.tablesOf]!)}` }
          }),
      }),
  }
}

/** Of the rates of two variants. */
export function rateGate(name: string, of: VariantName, to: VariantName, bound: Bound): ReceivingGate {
  return { case: name, what: `${of} / ${to}`, value: (result) => result.ratio(of, to), bound }
}

/** Of another figure of two variants. */
export function figureGate(
  name: string,
  figure: 'cpuUs' | 'p99Ms',
  of: VariantName,
  to: VariantName,
  bound: Bound,
): ReceivingGate {
  return {
    case: name,
    what: `${figure} ${of} / ${to}`,
    value: ({ variants }) => (variants[of]![figure] ?? Number.NaN) / (variants[to]![figure] ?? Number.NaN),
    bound,
  }
}

/** A measured case, as any suite reports it. */
export function receivingOutcome(result: CaseResult, gates: readonly ReceivingGate[]): Outcome {
  const { name, pinned, variants, setAside, faults } = result
  return {
    name,
    pinned,
    bareRates: variants.bare!.rates,
    setAside,
    faults,
    gates: gates
      .filter((gate) => gate.case === name)
      .map(({ what, value, bound }) => ({ case: name, what, value: value(result), ...bound })),
    table: caseTable(result),
    json: { name, pinned, variants, setAside, faults },
  }
}
