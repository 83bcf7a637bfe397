import { isIP } from 'node:net'

/** When a connection is already gone, nobody knows whose it was. */
const UNKNOWN = 'unknown'

/**
 * Whose request this is. Each proxy appends the address it was called from to X-Forwarded-For, so with `trustProxy`
 * proxies of ours in front, the address that many places from the right is the caller's; what stands left of it was
 * written by the caller and is worth nothing.
 */
export function clientAddress(
  remote: string | undefined,
  forwardedFor: string | undefined,
  trustProxy: number,
): string {
  const nearest = normalized(remote) ?? UNKNOWN
  if (trustProxy === 0 || forwardedFor === undefined) return nearest
  const hops = forwardedFor.split(',')
  return normalized(hops[Math.max(hops.length - trustProxy, 0)]) ?? nearest
}

/** What a rate limit counts: an IPv4 address, or the /64 network that one IPv6 subscriber has to itself. */
export function addressForLimits(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const groups =
    tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill('0'), ...after]
  return `${groups.slice(0, 4).join(':')}::/64`
}

const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'))

/** `[2001:db8::1]:443` and `192.0.2.1:443`, as some proxies write addresses. */
const BRACKETED = /^\[(.+)\](?::\d+)?$/
const WITH_PORT = /^([\d.]+):\d+$/

/** One spelling for each address; undefined if it is none. An IPv4 address mapped into IPv6 is the IPv4 address. */
function normalized(written: string | undefined): string | undefined {
  if (written !== undefined && isIP(written) === 4) return written
  const trimmed = written?.trim() ?? ''
  const bare = (BRACKETED.exec(trimmed) ?? WITH_PORT.exec(trimmed))?.[1] ?? trimmed
  const [address = ''] = bare.split('%')
  if (isIP(address) === 4) return address
  if (isIP(address) !== 6) return undefined
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? []
  return high === undefined || low === undefined ? short : [...bytesOf(high), ...bytesOf(low)].join('.')
}

function bytesOf(group: string): number[] {
  const value = Number.parseInt(group, 16)
  return [value >> 8, value & 0xff]
}
