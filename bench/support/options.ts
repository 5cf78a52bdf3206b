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

/**
 * Reads the command line of a benchmark; ends the process with a usage line when it makes no sense.
 * @param rounds unless `--rounds` says otherwise; `--quick` takes one
 */
export function readOptions(name: string, rounds: number, args = process.argv.slice(2)): BenchOptions {
  const flag = { type: 'boolean', default: false } as const
  try {
    const { values } = parseArgs({
      args,
      options: { json: flag, out: flag, quick: flag, alone: flag, rounds: { type: 'string' } },
    })
    const asked = values.rounds ?? String(values.quick ? 1 : rounds)
    if (!/^[1-9]\d{0,3}$/.test(asked)) throw new RangeError('--rounds takes a number from 1 to 9999')
    return { json: values.json, out: values.out, quick: values.quick, alone: values.alone, rounds: Number(asked) }
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    console.error(`usage: npm run bench -- ${name} [--json] [--out] [--quick] [--alone] [--rounds N]`)
    process.exit(2)
  }
}
