/** A left-recursive list while it grows; {@link toArray} flattens it once its closing token was seen. */
export type Chain<T> = { readonly before: Chain<T>; readonly item: T } | null

export const chain = <T>(before: Chain<T>, item: T): Chain<T> => ({ before, item })

export function toArray<T>(last: Chain<T>): readonly T[] {
  const items: T[] = []
  for (let link = last; link !== null; link = link.before) items.push(link.item)
  return items.reverse()
}
