/** Benchmarks that give a report: named metrics to compare, and files in bench/results/. In the order in which `all` runs them. */
export const REPORTED: readonly string[] = ['decide', 'load', 'serve', 'worst', 'audit', 'approvals']
