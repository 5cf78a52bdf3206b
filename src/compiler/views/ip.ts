import ipaddr from 'ipaddr.js'
import type { IpView } from './view-value.js'

const MAX_CHARACTERS = 64

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Reserved for what, by the names of ipaddr.js; every other range is global unicast. */
const PRIVATE = new Set(['private', 'uniqueLocal', 'carrierGradeNat'])
/** IPv6 ranges that carry an IPv4 address in a place we do not read: an IPv4 question about them has no answer. */
const TUNNELS = new Set(['6to4', 'teredo'])

/**
 * One IPv4 or IPv6 address. IPv6 forms of an IPv4 address (mapped, compatible, translated, NAT64) are the IPv4 address, for
 * that is where the packet goes; zone ids and brackets are dropped; hexadecimal, shortened and plain-integer forms are folded
 * as `inet_aton` reads them. A part that octal and decimal readers take for two numbers (`010`) makes the text unknown.
 */
export function parseIp(text: string): IpView | undefined {
  const address = readAddress(text)
  if (address === undefined) return undefined
  const range = address.range()
  return {
    text: address.toString(),
    version: address.kind() === 'ipv4' ? 4 : 6,
    private: PRIVATE.has(range),
    // A connection to 0.0.0.0 or :: reaches this host, a listener there is open to all: neither answer would be safe.
    loopback: isThisHost(address) ? undefined : range === 'loopback',
    link_local: range === 'linkLocal',
    multicast: range === 'multicast',
    global: range === 'unicast' && !isLocalNat64(address) && isAssignedUnicast(address),
  }
}

/**
 * @param ip an address as text or as parsed by {@link parseIp}
 * @param cidr `10.0.0.0/8`, or one address
 * @returns `undefined` when either does not parse, or an IPv6 tunnel address is asked for an IPv4 range
 */
export function ipInCidr(ip: IpView | string, cidr: string): boolean | undefined {
  const range = readCidr(cidr)
  const address = readAddress(typeof ip === 'string' ? ip : ip.text)
  if (range === undefined || address === undefined) return undefined
  return inRange(address, range)
}

/**
 * {@link ipInCidr} with the range parsed once.
 *
 * @returns `undefined` when the range does not parse
 */
export function compileCidr(cidr: string): ((ip: IpView | string) => boolean | undefined) | undefined {
  const range = readCidr(cidr)
  if (range === undefined) return undefined
  return (ip) => {
    const address = readAddress(typeof ip === 'string' ? ip : ip.text)
    return address === undefined ? undefined : inRange(address, range)
  }
}

interface Cidr {
  readonly base: Address
  readonly bits: number
}

function inRange(address: Address, range: Cidr): boolean | undefined {
  if (address.kind() !== range.base.kind()) {
    const isTunnel = TUNNELS.has(address.range()) || (address.kind() === 'ipv6' && isLocalNat64(address))
    return range.base.kind() === 'ipv4' && isTunnel ? undefined : false
  }
  return address.match(range.base as never, range.bits)
}

function readCidr(text: string): Cidr | undefined {
  const [addressText = '', bitsText, more] = text.split('/')
  if (more !== undefined) return undefined
  const written = readUnfolded(addressText)
  if (written === undefined) return undefined
  const width = written.kind() === 'ipv4' ? 32 : 128
  if (bitsText !== undefined && !/^(?:0|[1-9][0-9]{0,2})$/.test(bitsText)) return undefined
  const bits = bitsText === undefined ? width : Number(bitsText)
  if (bits > width) return undefined
  const folded = foldToIpv4(written)
  // `::ffff:10.0.0.0/104` is 10.0.0.0/8; a shorter prefix spans more than the IPv4 addresses and stays IPv6.
  if (folded !== written && bits >= 96) return { base: folded, bits: bits - 96 }
  return { base: written, bits }
}

function readAddress(text: string): Address | undefined {
  const written = readUnfolded(text)
  return written === undefined ? undefined : foldToIpv4(written)
}

function readUnfolded(text: string): Address | undefined {
  if (text.length > MAX_CHARACTERS) return undefined
  const bare = /^\[[^\]]*\]$/.test(text) ? text.slice(1, -1) : text
  if (!/^[0-9a-fx.:]+(?:%[0-9a-z_.-]+)?$/i.test(bare)) return undefined
  const withoutZone = bare.split('%')[0]!
  const isIpv6 = withoutZone.includes(':')
  if (isIpv6 !== bare.includes(':') || (bare.includes('%') && !isIpv6)) return undefined
  if (hasAmbiguousOctal(withoutZone)) return undefined
  try {
    return isIpv6 ? readIpv6(withoutZone) : ipaddr.IPv4.parse(withoutZone)
  } catch {
    return undefined
  }
}

function readIpv6(text: string): ipaddr.IPv6 | undefined {
  // The dotted tail of an IPv6 address is strictly decimal in the RFC; other forms are nobody's address.
  const tail = text.slice(text.lastIndexOf(':') + 1)
  if (tail.includes('.') && !ipaddr.IPv4.isValidFourPartDecimal(tail)) return undefined
  return ipaddr.IPv6.parse(text)
}

/** True for decimal digits after a leading zero that do not mean the same in octal: `010`, `08`, but not `01` or `0`. */
export function hasAmbiguousOctal(dotted: string): boolean {
  return dotted
    .slice(dotted.lastIndexOf(':') + 1)
    .split('.')
    .some(
      (part) => /^0+[0-9]+$/.test(part) && !/^0*[0-7]$/.test(part) && (dotted.includes('.') || !dotted.includes(':')),
    )
}

function foldToIpv4(address: Address): Address {
  if (address.kind() === 'ipv4') return address
  const bytes = address.toByteArray()
  const head = bytes.slice(0, 12)
  const isMapped = head.slice(0, 10).every(isZero) && head[10] === 0xff && head[11] === 0xff
  const isTranslated = head.slice(0, 8).every(isZero) && head[8] === 0xff && head[9] === 0xff && !head[10] && !head[11]
  const isNat64 =
    head[0] === 0 && head[1] === 0x64 && head[2] === 0xff && head[3] === 0x9b && head.slice(4).every(isZero)
  // `::` and `::1` are addresses of their own, not IPv4-compatible ones.
  const isCompatible = head.every(isZero) && !bytes.slice(12, 15).every(isZero)
  return isMapped || isTranslated || isNat64 || isCompatible ? new ipaddr.IPv4(bytes.slice(12)) : address
}

function isZero(byte: number): boolean {
  return byte === 0
}

function isThisHost(address: Address): boolean {
  return address.kind() === 'ipv4' ? address.toByteArray()[0] === 0 : address.range() === 'unspecified'
}

/** 64:ff9b:1::/48, NAT64 inside a network (RFC 8215): where it leads is known to that network alone. */
function isLocalNat64(address: Address): boolean {
  if (address.kind() === 'ipv4') return false
  const [a, b, c, d, e, f] = address.toByteArray()
  return a === 0 && b === 0x64 && c === 0xff && d === 0x9b && e === 0 && f === 1
}

/** Only 2000::/3 is assigned for global unicast (RFC 4291); site-local fec0::/10 and the rest lie outside. */
function isAssignedUnicast(address: Address): boolean {
  return address.kind() === 'ipv4' || address.toByteArray()[0]! >> 5 === 1
}
