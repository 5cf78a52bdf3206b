import { parseArgs } from 'node:util'

/** What every benchmark takes. */
export interface BenchOptions {
  /** End with one JSON object on the last line. */
  readonly json: boolean
  /** Write NAME.json, NAME.md and NAME.svg into bench/results/. */
  readonly out: boolean
  /** Smallest sizes and fewest rounds: whether it runs and its checks hold, not how long it takes. */
  readonly quick: boolean
  /** This project alone, without the programs it is compared with. */
  readonly alone: boolean
  /** Integer ≥ 1. */
  readonly rounds: number
}

/** Options of one benchmark beside those of all: what its value is called, by name. */
type Extra = Readonly<Record<string, string>>

/**
 * Reads the command line of a benchmark; ends the process with a usage line when it makes no sense.
 * @param rounds unless `--rounds` says otherwise; `--quick` takes one
 * @returns the options, and the values of the extra ones that were given, under `extra`
 */
export function readOptions<Name extends string = never>(
  name: string,
  rounds: number,
  extras: Readonly<Record<Name, string>> = {} as Readonly<Record<Name, string>>,
  args = process.argv.slice(2),
): BenchOptions & { readonly extra: Partial<Record<Name, string>> } {
  const flag = { type: 'boolean', default: false } as const
  const text = { type: 'string' } as const
  const names = Object.keys(extras) as Name[]
  try {
    const { values } = parseArgs({
      args,
      options: {
        ...Object.fromEntries(names.map((extra) => [extra, text])),
        ...{ json: flag, out: flag, quick: flag, alone: flag, rounds: text },
      },
    })
    const given: Readonly<Record<string, unknown>> = values
    const isSet = (option: string) => given[option] === true
    const rounded = String(given['rounds'] ?? (isSet('quick') ? 1 : rounds))
    if (!/^[1-9]\d{0,3}$/.test(rounded)) throw new RangeError('--rounds takes a number from 1 to 9999')
    const extra = names.flatMap((one) => (given[one] === undefined ? [] : [[one, String(given[one])]]))
    return {
      json: isSet('json'),
      out: isSet('out'),
      quick: isSet('quick'),
      alone: isSet('alone'),
      rounds: Number(rounded),
      extra: Object.fromEntries(extra) as Partial<Record<Name, string>>,
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    console.error(`usage: npm run bench -- ${name} [--json] [--out] [--quick] [--alone] [--rounds N]${inUsage(extras)}`)
    process.exit(2)
  }
}

function inUsage(extras: Extra): string {
  return Object.entries(extras)
    .map(([option, value]) => ` [--${option} ${value}]`)
    .join('')
}
