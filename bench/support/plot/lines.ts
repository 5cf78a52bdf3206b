import type { LinePlot, Panel } from './plot.js'
import { type Scale, toScale } from './scale.js'
import { escapeText, HUES, WIDTH } from './theme.js'

const HEIGHT = 380
const LEFT = 76
const RIGHT = WIDTH - 170
const TOP = 46
const BOTTOM = HEIGHT - 54
const LABEL_HEIGHT = 16

/** Lines with their names at their ends, so that no legend needs looking up. */
export function renderLines({ title, x, y, series }: LinePlot): Panel {
  const points = series.flatMap((one) => one.points)
  const across = toScale(
    x,
    points.map(([at]) => at),
    LEFT,
    RIGHT,
  )
  const up = toScale(
    y,
    points.map(([, value]) => value),
    BOTTOM,
    TOP,
  )
  const labels = spread(series.map((one) => up.at(one.points.at(-1)![1])))
  const body = [
    `<text class="title" x="16" y="24">${escapeText(title)}</text>`,
    ...across.ticks.map((tick) => verticalTick(across, tick, x.format(tick))),
    ...up.ticks.map((tick) => horizontalTick(up, tick, y.format(tick))),
    `<line class="axis" x1="${LEFT}" x2="${RIGHT}" y1="${BOTTOM}" y2="${BOTTOM}"/>`,
    `<text class="middle" x="${(LEFT + RIGHT) / 2}" y="${BOTTOM + 40}">${escapeText(x.label)}</text>`,
    `<text class="middle" transform="translate(18 ${(TOP + BOTTOM) / 2}) rotate(-90)">${escapeText(y.label)}</text>`,
    ...series.map((one, i) => curve(one.points, i, across, up)),
    ...series.map(
      (one, i) =>
        `<text class="fill${i % HUES}" x="${RIGHT + 10}" y="${round(labels[i]! + 4)}">${escapeText(one.name)}</text>`,
    ),
  ].join('\n')
  return { body, height: HEIGHT }
}

function curve(points: LinePlot['series'][number]['points'], number: number, across: Scale, up: Scale): string {
  const hue = number % HUES
  const places = points.map(([x, y]) => [round(across.at(x)), round(up.at(y))] as const)
  const path = places.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${x} ${y}`).join('')
  const dots = places.map(([x, y]) => `<circle class="fill${hue}" cx="${x}" cy="${y}" r="3.5"/>`).join('')
  return `<path class="curve line${hue}" d="${path}"/>${dots}`
}

function verticalTick({ at }: Scale, tick: number, text: string): string {
  const x = round(at(tick))
  return `<line class="grid" x1="${x}" x2="${x}" y1="${TOP}" y2="${BOTTOM}"/><text class="middle" x="${x}" y="${BOTTOM + 18}">${escapeText(text)}</text>`
}

function horizontalTick({ at }: Scale, tick: number, text: string): string {
  const y = round(at(tick))
  return `<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${y}" y2="${y}"/><text class="end" x="${LEFT - 8}" y="${y + 4}">${escapeText(text)}</text>`
}

/** Moves labels that would overlap apart, as little as their order allows, and keeps them on the plot. */
function spread(wanted: readonly number[]): number[] {
  const order = wanted.map((_, i) => i).sort((a, b) => wanted[a]! - wanted[b]!)
  const placed = [...wanted]
  let free = TOP
  for (const i of order) free = (placed[i] = Math.max(placed[i]!, free)) + LABEL_HEIGHT
  let limit = BOTTOM
  for (const i of order.toReversed()) limit = (placed[i] = Math.min(placed[i]!, limit)) - LABEL_HEIGHT
  return placed
}

function round(value: number): number {
  return Number(value.toFixed(1))
}
