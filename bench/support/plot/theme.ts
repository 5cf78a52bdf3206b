/** Of every plot, in SVG units. */
export const WIDTH = 760

/** Eight hues that stay apart for most colour-blind readers, once on white and once on near-black. */
const LIGHT = ['#2a78d6', '#d9541e', '#008300', '#8a3ab9', '#b07400', '#d13a6e', '#0f8a8a', '#5b5b5b']
const DARK = ['#5aa2f5', '#ff8a5c', '#4cc04c', '#c58af0', '#e0b040', '#ff7da6', '#43c4c4', '#b4b4b4']
export const HUES = LIGHT.length

const hues = (colours: readonly string[]) =>
  colours.map((colour, i) => `.line${i}{stroke:${colour}}.fill${i}{fill:${colour}}`).join('')

export const STYLE = [
  'text{font:13px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#3c4043}',
  '.title{font-size:15px;font-weight:600;fill:#16181a}.ground{fill:#fff}.grid{stroke:#e4e6e8}.axis{stroke:#8a8f94}',
  '.curve{fill:none;stroke-width:2.25;stroke-linejoin:round}.end{text-anchor:end}.middle{text-anchor:middle}',
  hues(LIGHT),
  '@media (prefers-color-scheme:dark){text{fill:#c4c9ce}.title{fill:#f0f2f4}.ground{fill:#14171a}.grid{stroke:#2b3036}',
  `.axis{stroke:#7c838a}${hues(DARK)}}`,
].join('')

/** Text inside an element. */
export function escapeText(text: string): string {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)
}
