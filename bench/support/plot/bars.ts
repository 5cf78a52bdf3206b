import type { BarPlot, Panel } from './plot.js'
import { toScale } from './scale.js'
import { escapeText, HUES, WIDTH } from './theme.js'

/** Of a letter of a name, as wide as letters get on average. */
const LETTER = 7
const NARROWEST = 90
const WIDEST = 330
const RIGHT = WIDTH - 90
const TOP = 46
/** Below the bars: ticks and the axis' name. */
const FOOT = 54
/** Height of a bar's row. */
const ROW = 28
/** Part of a bar's row that stays empty. */
const GAP = 0.28

/** Lying bars, each with its value at its end; on a log scale they begin at the decade below the least. */
export function renderBars({ title, value, bars }: BarPlot): Panel {
  const longest = Math.max(...bars.map(({ name }) => name.length))
  const left = Math.min(WIDEST, Math.max(NARROWEST, 24 + LETTER * longest))
  const values = bars.map((bar) => bar.value)
  const across = toScale(value, values, left, RIGHT)
  const bottom = TOP + ROW * bars.length
  const groups = [...new Set(bars.map((bar) => bar.group ?? ''))]
  const body = [
    `<text class="title" x="16" y="24">${escapeText(title)}</text>`,
    ...across.ticks.map((tick) => {
      const x = round(across.at(tick))
      return `<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${bottom}"/><text class="middle" x="${x}" y="${bottom + 18}">${escapeText(value.format(tick))}</text>`
    }),
    `<text class="middle" x="${(left + RIGHT) / 2}" y="${bottom + 40}">${escapeText(value.label)}</text>`,
    ...bars.map((bar, i) => {
      const hue = groups.indexOf(bar.group ?? '') % HUES
      const y = round(TOP + ROW * (i + GAP / 2))
      const end = round(across.at(bar.value))
      const baseline = round(y + (ROW * (1 - GAP)) / 2 + 4)
      return [
        `<text class="end" x="${left - 8}" y="${baseline}">${escapeText(bar.name)}</text>`,
        `<rect class="fill${hue}" x="${left}" y="${y}" width="${round(Math.max(end - left, 1))}" height="${round(ROW * (1 - GAP))}" rx="2"/>`,
        `<text x="${end + 6}" y="${baseline}">${escapeText(value.format(bar.value))}</text>`,
      ].join('')
    }),
    `<line class="axis" x1="${left}" x2="${left}" y1="${TOP}" y2="${bottom}"/>`,
  ].join('\n')
  return { body, height: bottom + FOOT }
}

function round(value: number): number {
  return Number(value.toFixed(1))
}
