import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder; this module runs as dist/bench/support/root.js. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

/** Where committed results lie. */
export const RESULTS = path.join(ROOT, 'bench', 'results')
