/** Makes an exhaustive switch stop the build, not a request, when a kind is added. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`)
}
