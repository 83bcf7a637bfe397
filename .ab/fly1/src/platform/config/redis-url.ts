import { z } from 'zod'
import { Secret } from '../../kit/secret.ts'

export interface RedisAddress {
  readonly host: string
  readonly port: number
}

interface Access {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly tls: boolean
}

/** Where the queue's Redis is, and what kind of thing it is. */
export type RedisTopology =
  | { readonly kind: 'single'; readonly url: string }
  | ({ readonly kind: 'cluster'; readonly nodes: readonly RedisAddress[] } & Access)
  | ({
      readonly kind: 'sentinel'
      readonly sentinels: readonly RedisAddress[]
      /** What the sentinels call the master and its replicas. */
      readonly master: string
      readonly database: number
      /** The sentinels' own; `username` and `password` are those of the Redis that they watch. */
      readonly sentinelUsername: string | undefined
      readonly sentinelPassword: string | undefined
    } & Access)

/** What is wrong with a `REDIS_URL`, as a sentence that begins with «must» and quotes nothing: it may carry a password. */
class NotARedisUrl extends Error {}

const REDIS_PORT = 6_379
const SENTINEL_PORT = 26_379

/**
 * - `redis://[user:password@]host[:port][/database]`: one Redis
 * - several of these, separated by commas, or `redis+cluster://[user:password@]host[:port],…`: nodes of a Redis Cluster
 * - `redis+sentinel://[user:password@]host[:port],…/master[/database]`: sentinels, who know where the master is
 *
 * `rediss` in place of `redis` speaks TLS, to sentinels too.
 */
export function redisTopology(text: string): RedisTopology {
  const [, scheme, kind] = /^(rediss?)(?:\+(\w+))?:\/\//.exec(text) ?? []
  if (scheme === undefined) throw new NotARedisUrl('must be a URL that begins with redis:// or rediss://')
  if (kind === 'sentinel') return sentinel(text)
  if (kind === 'cluster') return cluster(severalHosts(text, REDIS_PORT).map(({ url }) => url))
  if (kind !== undefined)
    throw new NotARedisUrl('must begin with redis://, rediss://, redis+cluster:// or redis+sentinel://')
  // Only before another URL: a password may hold a comma.
  const urls = text.split(/,\s*(?=rediss?:\/\/)/)
  return urls.length === 1 ? single(text) : cluster(urls)
}

function single(text: string): RedisTopology {
  if (!URL.canParse(text) || new URL(text).hostname.includes(','))
    throw new NotARedisUrl('must be a URL, or one for each node of a cluster: redis://one:6379,redis://two:6379')
  return { kind: 'single', url: text }
}

function cluster(urls: readonly string[]): RedisTopology {
  const nodes = urls.map((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || url.hostname === '' || url.hostname.includes(','))
      throw new NotARedisUrl('must name each node of the cluster like redis://host:6379')
    if (url.search !== '') throw new NotARedisUrl('must have no question mark where it names a cluster')
    if (!['', '/', '/0'].includes(url.pathname))
      throw new NotARedisUrl('must not choose a database where it names a cluster, which has only one')
    return url
  })
  const accesses = nodes.map(accessOf)
  const [access] = accesses
  if (access === undefined) throw new NotARedisUrl('must name a node')
  if (accesses.some((other) => JSON.stringify(other) !== JSON.stringify(access)))
    throw new NotARedisUrl('must have the same redis:// or rediss://, user and password at each node of the cluster')
  return { kind: 'cluster', nodes: nodes.map((url) => addressOf(url, REDIS_PORT)), ...access }
}

function sentinel(text: string): RedisTopology {
  const hosts = severalHosts(text, SENTINEL_PORT)
  const [first] = hosts
  if (first === undefined) throw new NotARedisUrl('must name a sentinel')
  const { rest } = first
  const [, master, database = '0'] = /^\/([^/?]+)(?:\/(\d+))?\/?$/.exec(rest.pathname) ?? []
  if (master === undefined)
    throw new NotARedisUrl('must end in what the sentinels call the master: redis+sentinel://host:26379/mymaster')
  const { sentinel_username: username, sentinel_password: password, ...others } = Object.fromEntries(rest.searchParams)
  if (Object.keys(others).length > 0)
    throw new NotARedisUrl('must have nothing after its question mark but sentinel_username and sentinel_password')
  return {
    kind: 'sentinel',
    sentinels: hosts.map(({ url }) => addressOf(new URL(url), SENTINEL_PORT)),
    master: decodeURIComponent(master),
    database: Number(database),
    sentinelUsername: username,
    sentinelPassword: password,
    ...accessOf(new URL(first.url)),
  }
}

/** `redis+kind://user:password@one,two/path` as a URL for each host, which JavaScript's own parser cannot read. */
function severalHosts(text: string, port: number): { url: string; rest: URL }[] {
  const [, scheme = '', user = '', hosts = '', after = ''] =
    /^(rediss?)\+\w+:\/\/(?:([^/?]*)@)?([^/?]*)(.*)$/s.exec(text) ?? []
  const access = user === '' ? '' : `${user}@`
  return hosts.split(',').map((host) => {
    const url = `${scheme}://${access}${host.trim()}`
    if (host.trim() === '' || !URL.canParse(`${url}${after}`) || new URL(url).hostname === '')
      throw new NotARedisUrl(`must name its hosts like host:${port},host:${port}`)
    return { url, rest: new URL(`${url}${after}`) }
  })
}

const addressOf = (url: URL, port: number): RedisAddress => ({
  // IPv6 addresses stand in brackets in URLs only.
  host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
  port: url.port === '' ? port : Number(url.port),
})

const accessOf = (url: URL): Access => ({
  username: url.username === '' ? undefined : decodeURIComponent(url.username),
  password: url.password === '' ? undefined : decodeURIComponent(url.password),
  tls: url.protocol === 'rediss:',
})

/** `REDIS_URL`, refused in plain words when it names no Redis. */
export const redisUrl = z.string().transform((text, context): Secret => {
  try {
    redisTopology(text)
    return new Secret(text)
  } catch (error) {
    const message =
      error instanceof NotARedisUrl ? error.message : 'must be a URL whose user and password are percent-encoded'
    context.issues.push({ code: 'custom', input: '', message })
    return z.NEVER
  }
})

/** What may be shown of a Redis that is more than one server: where it is. */
export function addressesShown(topology: Exclude<RedisTopology, { kind: 'single' }>): string {
  const shown = (addresses: readonly RedisAddress[]) => addresses.map(({ host, port }) => `${host}:${port}`).join(',')
  const scheme = `redis${topology.tls ? 's' : ''}+${topology.kind}`
  return topology.kind === 'cluster'
    ? `${scheme}://${shown(topology.nodes)}`
    : `${scheme}://${shown(topology.sentinels)}/${topology.master}/${topology.database}`
}
