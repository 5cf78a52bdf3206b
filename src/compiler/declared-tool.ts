/** A tool that some policy declares or imports. */
export interface DeclaredTool {
  readonly name: string
  /** Of every declaration, fleet and tenant: a tenant cannot take a tag off a tool. */
  readonly tags: readonly string[]
  /** Names of the arguments that any of the declarations has. */
  readonly parameters: ReadonlySet<string>
  /** Those that the fleet's declaration has; null where the fleet does not declare the tool. */
  readonly fleetParameters: ReadonlySet<string> | null
  /** Every ALLOW of it carries a signed receipt, by the word of any of the declarations. */
  readonly receipt: boolean
}

type Packed = readonly [
  name: string,
  tags: readonly string[],
  parameters: readonly string[],
  fleetParameters: readonly string[] | null,
  receipt: boolean,
]

/** The text of a declaration, as images keep it. */
export function packTool({ name, tags, parameters, fleetParameters, receipt }: DeclaredTool): string {
  const packed: Packed = [name, tags, [...parameters], fleetParameters && [...fleetParameters], receipt]
  return JSON.stringify(packed)
}

export function unpackTool(text: string): DeclaredTool {
  const [name, tags, parameters, fleetParameters, receipt] = JSON.parse(text) as Packed
  return {
    name,
    tags,
    parameters: new Set(parameters),
    fleetParameters: fleetParameters && new Set(fleetParameters),
    receipt,
  }
}
