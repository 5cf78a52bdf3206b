import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6
/** Address and length of the prefix. */
export type Network = readonly [Address, number]

/** Public by their number, and yet answered by the machine's own cloud. */
const METADATA: ReadonlySet<string> = new Set(['168.63.129.16'])

/** Of all IPv6, what is routed worldwide. The rest is local, special or carries an IPv4 address inside. */
const GLOBAL_IPV6: Network = ipaddr.parseCIDR('2000::/3')

/** @param text `10.0.0.0/8`, `fd00::/8`, or one address @throws {TypeError} */
export function readNetwork(text: string): Network {
  try {
    // ipaddr.js also reads the forms of old, where 10.1 is 10.0.0.1.
    if (isIP(text.replace(/\/.*/, '')) === 0) throw new TypeError('no address')
    if (text.includes('/')) return ipaddr.parseCIDR(text)
    const address = ipaddr.parse(text)
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  } catch {
    throw new TypeError('must be an address or a network such as 10.0.0.0/8')
  }
}

/**
 * Why nothing is sent to this address, or null. Only what is public is good by itself; private, loopback, link-local and
 * metadata addresses, and everything that is none, have to be in `allowed`.
 */
export function addressFault(text: string, allowed: readonly Network[]): string | null {
  if (isIP(text) === 0) return 'is no address'
  // ::ffff:10.0.0.1 reaches the same machine as 10.0.0.1.
  const address = ipaddr.process(text)
  if (isAllowed(text, allowed)) return null
  if (METADATA.has(address.toString())) return 'is a metadata address'
  const range = address.range()
  if (range !== 'unicast') return `is ${range}`
  return isWithin(address, GLOBAL_IPV6) || address.kind() === 'ipv4' ? null : 'is not routed worldwide'
}

export function isAllowed(text: string, allowed: readonly Network[]): boolean {
  return isIP(text) !== 0 && allowed.some((network) => isWithin(ipaddr.process(text), network))
}

function isWithin(address: Address, [network, bits]: Network): boolean {
  if (address.kind() !== network.kind()) return false
  return address.kind() === 'ipv4'
    ? (address as ipaddr.IPv4).match(network as ipaddr.IPv4, bits)
    : (address as ipaddr.IPv6).match(network as ipaddr.IPv6, bits)
}
