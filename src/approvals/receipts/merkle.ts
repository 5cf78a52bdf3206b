import { createHash } from 'node:crypto'

/**
 * Merkle trees as RFC 6962 (section 2.1) defines them: leaves and inner nodes are hashed with different first bytes, so that
 * none can be passed off as the other, and a tree whose size is no power of two is split at the largest one below it.
 */
const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)

export function leafHash(payload: Uint8Array): Buffer {
  return createHash('sha256').update(LEAF).update(payload).digest()
}

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update(NODE).update(left).update(right).digest()
}

/** The root, and of each leaf the hashes that lead from it to the root, nearest first. */
export interface Tree {
  readonly root: Buffer
  readonly paths: readonly (readonly Buffer[])[]
}

/** @param leaves at least one, hashed */
export function merkleTree(leaves: readonly Buffer[]): Tree {
  if (leaves.length === 1) return { root: leaves[0]!, paths: [[]] }
  const at = largestPowerBelow(leaves.length)
  const left = merkleTree(leaves.slice(0, at))
  const right = merkleTree(leaves.slice(at))
  const paths = [...left.paths.map((path) => [...path, right.root]), ...right.paths.map((path) => [...path, left.root])]
  return { root: nodeHash(left.root, right.root), paths }
}

function largestPowerBelow(size: number): number {
  let power = 1
  while (power * 2 < size) power *= 2
  return power
}
