import type { Fuzzer } from './fuzzer.js'

/** Every fuzzer, in the order in which a run of all takes its turns; NAME is the module `NAME.ts` beside this one. */
export const FUZZERS: readonly string[] = ['engine', 'policies', 'views', 'json', 'ndjson', 'codecs', 'frames']

/** @returns where the module of a fuzzer is, as a URL */
export function moduleOf(name: string): string {
  return new URL(`./${name}.js`, import.meta.url).href
}

/** @param module URL of a module that exports `fuzzer` */
export async function loadFuzzer(module: string): Promise<Fuzzer> {
  const { fuzzer } = (await import(module)) as { readonly fuzzer: Fuzzer }
  return fuzzer
}
