import { describe, expect, test } from 'vitest'
import { redisTopology } from '../src/platform/config/redis-url.ts'
import { ConfigError, describeConfig, readConfig } from '../src/platform/config.ts'

const noAccess = { username: undefined, password: undefined, tls: false }

describe('REDIS_URL names', () => {
  test.each([
    'redis://cache',
    'redis://cache:6380/3',
    'rediss://user:pa%2Css@cache:6380/3?family=6',
    'redis://:pa,ss@cache',
    'redis://[::1]:6379',
  ])('one Redis: %s', (url) => {
    expect(redisTopology(url)).toEqual({ kind: 'single', url })
    expect(readConfig({ REDIS_URL: url }).redisUrl?.reveal()).toBe(url)
  })

  test.each([
    'redis://one:7000,redis://two:7001',
    'redis://one:7000, redis://two:7001/0',
    'redis+cluster://one:7000,two:7001',
    'redis+cluster://one:7000,two:7001/',
  ])('a Redis Cluster by its nodes: %s', (url) => {
    const nodes = [
      { host: 'one', port: 7_000 },
      { host: 'two', port: 7_001 },
    ]
    expect(redisTopology(url)).toEqual({ kind: 'cluster', nodes, ...noAccess })
  })

  test('a Redis Cluster by the one address that leads to all its nodes, with a user, a password and TLS', () => {
    expect(redisTopology('rediss+cluster://us%40er:pa%2Css@[fe80::1]')).toEqual({
      ...{ kind: 'cluster', nodes: [{ host: 'fe80::1', port: 6_379 }] },
      ...{ username: 'us@er', password: 'pa,ss', tls: true },
    })
    expect(redisTopology('rediss://:pass@one,rediss://:pass@two:1')).toMatchObject({ password: 'pass', tls: true })
  })

  test('sentinels, what they call the master, and their own password beside its', () => {
    const url = 'redis+sentinel://user:pass@one,two:7000/mymaster/2?sentinel_password=s%26cret'
    expect(redisTopology(url)).toEqual({
      kind: 'sentinel',
      sentinels: [
        { host: 'one', port: 26_379 },
        { host: 'two', port: 7_000 },
      ],
      ...{ master: 'mymaster', database: 2, username: 'user', password: 'pass', tls: false },
      ...{ sentinelUsername: undefined, sentinelPassword: 's&cret' },
    })
    expect(redisTopology('rediss+sentinel://one/my')).toMatchObject({ master: 'my', database: 0, tls: true })
  })
})

describe('A REDIS_URL is refused at the start, in words that quote nothing of it,', () => {
  const begins = 'must be a URL that begins with redis:// or rediss://'
  const each = 'must be a URL, or one for each node of a cluster: redis://one:6379,redis://two:6379'
  const same = 'must have the same redis:// or rediss://, user and password at each node of the cluster'
  const hosts = 'must name its hosts like host:26379,host:26379'
  const ends = 'must end in what the sentinels call the master: redis+sentinel://host:26379/mymaster'
  test.each([
    ['that has no scheme', 'hunter2:6379', begins],
    ['of another service', 'http://:hunter2@cache', begins],
    [
      'with an unknown kind',
      'redis+ring://:hunter2@cache',
      'must begin with redis://, rediss://, redis+cluster:// or redis+sentinel://',
    ],
    ['with an impossible port', 'redis://:hunter2@cache:99999999', each],
    ['whose nodes after the first have no scheme', 'redis://:hunter2@one,two', each],
    ['with a node without a name', 'redis://one,redis://', 'must name each node of the cluster like redis://host:6379'],
    [
      'that chooses a database of a cluster',
      'redis://one,redis://two/1',
      'must not choose a database where it names a cluster, which has only one',
    ],
    [
      'with options for a cluster',
      'redis://one?family=6,redis://two',
      'must have no question mark where it names a cluster',
    ],
    ['with one password for one node and none for another', 'redis://:hunter2@one,redis://two', same],
    ['with TLS for one node only', 'rediss://one,redis://two', same],
    ['with no sentinel', 'redis+sentinel:///mymaster', hosts],
    ['with an empty place between two sentinels', 'redis+sentinel://one,,two/mymaster', hosts],
    ['with sentinels and no master', 'redis+sentinel://:hunter2@one,two', ends],
    ['with words after the master', 'redis+sentinel://one/mymaster/hunter2', ends],
    [
      'with an option that sentinels do not have',
      'redis+sentinel://one/mymaster?password=hunter2',
      'must have nothing after its question mark but sentinel_username and sentinel_password',
    ],
    [
      'whose password is not encoded',
      'redis://:%hunter2@one,redis://:%hunter2@two',
      'must be a URL whose user and password are percent-encoded',
    ],
  ])('one %s', (_, url, words) => {
    const refused = () => readConfig({ REDIS_URL: url })
    expect(refused).toThrow(ConfigError)
    expect(refused).toThrow(`REDIS_URL ${words}`)
    expect(refused).not.toThrow('hunter2')
  })
})

test('A description of the configuration shows where Redis is, and no password', () => {
  const shown = (url: string) => /redisUrl +(.*)/.exec(describeConfig(readConfig({ REDIS_URL: url })))?.[1]
  expect(shown('redis://:hunter2@cache/4?password=hunter2')).toBe('redis://cache/4')
  expect(shown('rediss://u:hunter2@one,rediss://u:hunter2@two:1')).toBe('rediss+cluster://one:6379,two:1')
  expect(shown('redis+sentinel://u:hunter2@one,two:1/my/3?sentinel_password=hunter2')).toBe(
    'redis+sentinel://one:26379,two:1/my/3',
  )
})
