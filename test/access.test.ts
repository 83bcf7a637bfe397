import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  Authenticator,
  type Caller,
  mayActFor,
  nobody,
  type Role,
  requireCaller,
  requireRole,
  requireToActFor,
} from '../src/api/access.ts'
import { addressForLimits, clientAddress } from '../src/api/client-address.ts'
import { Fault } from '../src/kit/fault.ts'
import { Refusal } from '../src/kit/refusal.ts'
import { Secret } from '../src/kit/secret.ts'

const NOON = new Date('2026-11-20T12:00:00Z')
const SECRET = 'a-secret-of-the-tests-that-is-long-enough'
const OLD_SECRET = 'the-secret-before-that-one-also-long-enough'
const seconds = (date: Date) => Math.floor(date.getTime() / 1000)

const signed = (claims: JWTPayload, secret = SECRET, alg = 'HS256') =>
  new SignJWT(claims).setProtectedHeader({ alg }).sign(new TextEncoder().encode(secret))

function doorAt(settings: Partial<ConstructorParameters<typeof Authenticator>[0]['jwt']> = {}) {
  const clock = { at: NOON, now: () => clock.at }
  const door = new Authenticator({
    jwt: { secret: new Secret(SECRET), previousSecrets: [new Secret(OLD_SECRET)], ...settings },
    board: { username: 'operator', password: new Secret('board-password') },
    clock,
  })
  return { door, clock, bearer: async (token: string | Promise<string>) => door.authenticate(`Bearer ${await token}`) }
}

const unauthenticated = { code: 'access.unauthenticated', status: 401, error: 'Unauthenticated' }

describe('a bearer token', () => {
  test('names its user, who is a plain user unless it says more', async () => {
    const { bearer } = doorAt()
    expect(await bearer(signed({ sub: 'user_1' }))).toEqual({ subject: 'user_1', roles: new Set(['user']) })
    expect(await bearer(signed({ sub: 'user_1', roles: [] }))).toEqual({ subject: 'user_1', roles: new Set(['user']) })
    expect(await bearer(signed({ sub: 'shop', roles: ['service', 'operator'] }))).toEqual({
      subject: 'shop',
      roles: new Set(['service', 'operator']),
    })
  })

  test('of the previous secret is still good', async () => {
    expect(await doorAt().bearer(signed({ sub: 'user_1' }, OLD_SECRET))).toMatchObject({ subject: 'user_1' })
  })

  test.each<[string, () => string | Promise<string>]>([
    ['has expired', () => signed({ sub: 'user_1', exp: seconds(NOON) - 1 })],
    ['is not valid yet', () => signed({ sub: 'user_1', nbf: seconds(NOON) + 60 })],
    ['is signed with another secret', () => signed({ sub: 'user_1' }, 'somebody-elses-secret-that-is-long-enough')],
    ['is signed by another algorithm', () => signed({ sub: 'user_1' }, SECRET.repeat(2), 'HS512')],
    ['is not signed at all (alg: none)', () => new UnsecuredJWT({ sub: 'user_1' }).encode()],
    ['names nobody', () => signed({ roles: ['admin'] })],
    ['names an empty user', () => signed({ sub: '' })],
    ['names a user with a NUL in it', () => signed({ sub: 'user\u0000' })],
    ['names a very long user', () => signed({ sub: 'u'.repeat(256) })],
    ['claims an unknown role', () => signed({ sub: 'user_1', roles: ['user', 'king'] })],
    ['claims roles that are no list', () => signed({ sub: 'user_1', roles: 'admin' })],
    ['is no token', () => 'abc'],
    ['is almost a token', () => 'a.b.c'],
  ])('that %s is refused', async (_, token) => {
    const { bearer } = doorAt()
    await expect(bearer(token())).rejects.toMatchObject(unauthenticated)
  })

  test('must be for the configured audience, by the configured issuer', async () => {
    const { bearer } = doorAt({ audience: 'bursar', issuer: 'https://issuer' })
    expect(await bearer(signed({ sub: 'user_1', aud: 'bursar', iss: 'https://issuer' }))).toMatchObject({
      subject: 'user_1',
    })
    for (const claims of [{ aud: 'other', iss: 'https://issuer' }, { aud: 'bursar', iss: 'x' }, {}])
      await expect(bearer(signed({ sub: 'user_1', ...claims }))).rejects.toMatchObject(unauthenticated)
  })

  test('that was good a moment ago is refused the moment it expires', async () => {
    const { bearer, clock } = doorAt()
    const token = await signed({ sub: 'user_1', exp: seconds(NOON) + 10 })
    await bearer(token)
    clock.at = new Date(NOON.getTime() + 9_000)
    expect(await bearer(token)).toMatchObject({ subject: 'user_1' })
    clock.at = new Date(NOON.getTime() + 10_000)
    await expect(bearer(token)).rejects.toMatchObject(unauthenticated)
  })

  test('is remembered, and the memory is bounded', async () => {
    const { bearer } = doorAt()
    const first = await bearer(signed({ sub: 'user_0' }))
    expect(await bearer(signed({ sub: 'user_0' }))).toBe(first)
    for (let n = 1; n <= 10_000; n++) await bearer(signed({ sub: `user_${n}` }))
    expect(await bearer(signed({ sub: 'user_0' }))).not.toBe(first)
  })

  test.each(['Bearer', 'Bearer ', 'bearer a b', 'Digest abc', 'abc', ''])(
    'in a header such as «%s» is refused',
    async (header) => {
      await expect(doorAt().door.authenticate(header)).rejects.toMatchObject(unauthenticated)
    },
  )

  test('that is missing makes the caller nobody, whom routes may turn away', async () => {
    const caller = await doorAt().door.authenticate(undefined)
    expect(caller).toEqual(nobody)
    expect(() => requireCaller(caller)).toThrow(expect.objectContaining(unauthenticated))
    expect(() => requireRole(caller, 'operator')).toThrow(expect.objectContaining(unauthenticated))
  })
})

describe('the board’s user name and password', () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

  test('make an operator where the route takes them', async () => {
    const caller = await doorAt().door.authenticate(basic('operator:board-password'), { basic: true })
    expect(requireRole(caller, 'operator').subject).toBe('board:operator')
    expect(() => requireRole(caller, 'admin')).toThrow(Refusal)
    expect(mayActFor(caller, 'user_1')).toBe(false)
  })

  test.each(['operator:wrong', 'other:board-password', 'operator', ''])('are refused as «%s»', async (text) => {
    await expect(doorAt().door.authenticate(basic(text), { basic: true })).rejects.toMatchObject(unauthenticated)
  })

  test('are refused everywhere else', async () => {
    await expect(doorAt().door.authenticate(basic('operator:board-password'))).rejects.toMatchObject(unauthenticated)
  })
})

describe('with an issuer’s published keys', () => {
  let server: Server
  let url = ''
  let answers = true
  const pairs: Record<string, Awaited<ReturnType<typeof generateKeyPair>>['privateKey']> = {}
  let publicKeyText = ''

  beforeAll(async () => {
    const keys: object[] = []
    for (const alg of ['RS256', 'ES256', 'EdDSA']) {
      const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
      pairs[alg] = privateKey
      keys.push({ ...(await exportJWK(publicKey)), alg, kid: alg, use: 'sig' })
      if (alg === 'RS256') publicKeyText = JSON.stringify(await exportJWK(publicKey))
    }
    pairs.stranger = (await generateKeyPair('ES256')).privateKey
    server = createServer((_, response) => {
      response.statusCode = answers ? 200 : 500
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys }))
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
  })
  afterAll(() => new Promise((closed) => server.close(closed)))

  function by(key: string, header: { alg: string; kid?: string }) {
    const privateKey = pairs[key]
    if (privateKey === undefined) throw new Error(`No key ${key}`)
    return new SignJWT({ sub: 'user_1' }).setProtectedHeader(header).sign(privateKey)
  }

  test.each(['RS256', 'ES256', 'EdDSA'])('a token signed by %s is accepted', async (alg) => {
    expect(await doorAt({ jwksUrl: url }).bearer(by(alg, { alg, kid: alg }))).toMatchObject({ subject: 'user_1' })
  })

  test('a token of a stranger’s key is refused, under a known name or an unknown one', async () => {
    const { bearer } = doorAt({ jwksUrl: url })
    for (const kid of ['ES256', 'unknown'])
      await expect(bearer(by('stranger', { alg: 'ES256', kid }))).rejects.toMatchObject(unauthenticated)
  })

  test('a shared secret opens nothing: neither the configured one, nor a public key used as one', async () => {
    const { bearer } = doorAt({ jwksUrl: url })
    for (const secret of [SECRET, publicKeyText])
      await expect(bearer(signed({ sub: 'user_1' }, secret))).rejects.toMatchObject(unauthenticated)
  })

  test('an issuer that does not answer is our trouble, not the caller’s', async () => {
    answers = false
    const { bearer } = doorAt({ jwksUrl: url })
    await expect(bearer(by('ES256', { alg: 'ES256', kid: 'ES256' }))).rejects.toBeInstanceOf(Fault)
    answers = true
  })
})

describe('who may what', () => {
  const as = (...roles: Role[]): Caller => ({ subject: 'user_1', roles: new Set(roles) })

  test.each<[Role, boolean, boolean]>([
    ['user', true, false],
    ['service', true, true],
    ['operator', true, false],
    ['admin', true, true],
  ])('a %s acts for themselves (%s) and for others (%s)', (role, own, others) => {
    expect(mayActFor(as(role), 'user_1')).toBe(own)
    expect(mayActFor(as(role), 'user_2')).toBe(others)
    const act = () => requireToActFor(as(role), 'user_2')
    if (others) expect(act().subject).toBe('user_1')
    else expect(act).toThrow(expect.objectContaining({ code: 'access.forbidden', status: 403, error: 'Forbidden' }))
  })

  test('nobody acts for nobody', () => {
    expect(mayActFor(nobody, 'user_1')).toBe(false)
    expect(mayActFor({ roles: new Set(['service']) }, 'user_1')).toBe(false)
  })

  test('each role opens its own doors, and admin opens all', () => {
    const doors: Role[] = ['user', 'service', 'operator', 'admin']
    const opened = (role: Role) => doors.filter((door) => requireRoleOpens(as(role), door))
    expect(opened('user')).toEqual(['user'])
    expect(opened('service')).toEqual(['user', 'service'])
    expect(opened('operator')).toEqual(['operator'])
    expect(opened('admin')).toEqual(doors)
  })

  function requireRoleOpens(caller: Caller, door: Role): boolean {
    try {
      return requireRole(caller, door) !== undefined
    } catch (refusal) {
      expect(refusal).toMatchObject({ code: 'access.forbidden', status: 403 })
      return false
    }
  }
})

describe('the caller’s address', () => {
  test.each<[string, string | undefined, string | undefined, number, string]>([
    ['is the connection’s without a proxy', '192.0.2.1', '198.51.100.7', 0, '192.0.2.1'],
    ['is what our proxy saw', '10.0.0.1', '198.51.100.7', 1, '198.51.100.7'],
    ['is not what the caller made up', '10.0.0.1', '1.1.1.1, 198.51.100.7', 1, '198.51.100.7'],
    ['is two places back behind two proxies', '10.0.0.1', '1.1.1.1, 198.51.100.7, 10.0.0.2', 2, '198.51.100.7'],
    ['is the farthest known when a proxy was skipped', '10.0.0.1', '198.51.100.7', 2, '198.51.100.7'],
    ['is the connection’s when the header is missing', '10.0.0.1', undefined, 1, '10.0.0.1'],
    ['is the connection’s when the header is nonsense', '10.0.0.1', '<script>', 1, '10.0.0.1'],
    ['loses a port', '10.0.0.1', '198.51.100.7:4711', 1, '198.51.100.7'],
    ['loses brackets and a port', '10.0.0.1', '[2001:DB8::1]:443', 1, '2001:db8::1'],
    ['is one for an IPv4 address inside IPv6', '::ffff:192.0.2.1', undefined, 0, '192.0.2.1'],
    ['is one for each spelling of IPv6', '2001:0DB8:0:0:0:0:0:1', undefined, 0, '2001:db8::1'],
    ['loses a zone', 'fe80::1%eth0', undefined, 0, 'fe80::1'],
    ['is unknown when the connection is gone', undefined, undefined, 0, 'unknown'],
  ])('%s', (_, remote, forwarded, proxies, expected) => {
    expect(clientAddress(remote, forwarded, proxies)).toBe(expected)
  })

  test('counts for limits by network where one subscriber has a whole network', () => {
    expect(addressForLimits('192.0.2.1')).toBe('192.0.2.1')
    expect(addressForLimits('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
    expect(addressForLimits('2001:db8::6')).toBe('2001:db8:0:0::/64')
    expect(addressForLimits('::1')).toBe('0:0:0:0::/64')
    expect(addressForLimits('2001:db8:1:2:3::')).toBe('2001:db8:1:2::/64')
    expect(addressForLimits('unknown')).toBe('unknown')
  })
})
