import type { Axis } from './plot.js'

export interface Scale {
  /** Where a value lies, in SVG units. */
  readonly at: (value: number) => number
  readonly ticks: readonly number[]
}

/**
 * A scale from the range of some values to `from`…`to`. A log scale runs over whole decades, with ticks at 1, or 1, 2 and 5 of
 * each when they are few; a linear one runs from 0 to the next round number.
 */
export function toScale({ scale }: Pick<Axis, 'scale'>, values: readonly number[], from: number, to: number): Scale {
  return scale === 'log' ? logScale(values, from, to) : linearScale(values, from, to)
}

function logScale(values: readonly number[], from: number, to: number): Scale {
  if (values.some((value) => !(value > 0))) throw new RangeError('a log scale takes values above 0 only')
  const low = Math.floor(Math.log10(Math.min(...values)))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))))
  const decades = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i))
  const ticks = high - low > 2 ? decades : decades.flatMap((decade) => [decade, 2 * decade, 5 * decade])
  return {
    at: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
    ticks: ticks.filter((tick) => tick <= 10 ** high),
  }
}

function linearScale(values: readonly number[], from: number, to: number): Scale {
  const most = Math.max(...values, Number.MIN_VALUE)
  const rough = most / 5
  const decade = 10 ** Math.floor(Math.log10(rough))
  const step = decade * [1, 2, 5, 10].find((factor) => factor * decade >= rough)!
  const count = Math.ceil(most / step)
  return {
    at: (value) => from + (value / (count * step)) * (to - from),
    ticks: Array.from({ length: count + 1 }, (_, i) => i * step),
  }
}
