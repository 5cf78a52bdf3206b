import { renderBars } from './bars.js'
import { renderLines } from './lines.js'
import { STYLE, WIDTH } from './theme.js'

export interface Axis {
  readonly label: string
  readonly scale: 'log' | 'linear'
  /** The text of a tick. */
  readonly format: (value: number) => string
}

/** A figure over another: how something grows. */
export interface LinePlot {
  readonly kind: 'lines'
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  /** At most eight, each with at least one point, in the order of x; on a log scale every value is above 0. */
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[]
}

/** One figure for each of some names: how they stand beside one another. */
export interface BarPlot {
  readonly kind: 'bars'
  readonly title: string
  readonly value: Axis
  /** The same group has the same colour; without groups all have one. */
  readonly bars: readonly { readonly name: string; readonly value: number; readonly group?: string }[]
}

export type Plot = LinePlot | BarPlot

/** One plot as SVG elements, from the top left corner on. */
export interface Panel {
  readonly body: string
  /** In SVG units. */
  readonly height: number
}

/** One SVG, the plots one below the other, legible in light and dark: it asks the reader's colour scheme and brings its own ground. */
export function renderPlots(plots: readonly Plot[]): string {
  let height = 0
  const groups = plots.map((plot) => {
    const panel = plot.kind === 'lines' ? renderLines(plot) : renderBars(plot)
    const group = `<g transform="translate(0 ${height})">\n${panel.body}\n</g>`
    height += panel.height
    return group
  })
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    ...groups,
    '</svg>',
  ].join('\n')}\n`
}
