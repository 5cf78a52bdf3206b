/** Has a name or has it not: a set of names, or a map by name. */
export type DeclaredNames = Pick<ReadonlySet<string>, 'has'>

/**
 * `undeclared(args)`: names of the arguments, at the top level, that no declaration of the called tool has, sorted by code
 * unit. An argument that is null was sent all the same.
 *
 * @param declared names that the tool's declarations have; undefined for a tool without declaration
 * @returns undefined (unknown) for such a tool
 */
export function undeclaredOf(
  args: Readonly<Record<string, unknown>>,
  declared: DeclaredNames | undefined,
): readonly string[] | undefined {
  return (
    declared &&
    Object.keys(args)
      .filter((name) => !declared.has(name))
      .sort()
  )
}
