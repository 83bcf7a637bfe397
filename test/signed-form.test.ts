import { randomUUID } from 'node:crypto'
import { CompactEncrypt, CompactSign, decodeProtectedHeader, UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { looksSigned, SignedForm } from '../src/domain/tokens/signed-form.ts'
import { Keyring } from '../src/kit/keyring.ts'
import { Secret } from '../src/kit/secret.ts'

const TOKEN = { id: '550e8400-e29b-41d4-a716-446655440000', expiresAt: new Date('2026-11-20T13:00:00.250Z') }

const clock = { at: new Date('2026-11-20T12:00:00Z'), now: () => clock.at }
const at = async <Result>(instant: string, ask: () => Promise<Result>): Promise<Result> => {
  const before = clock.at
  clock.at = new Date(instant)
  try {
    return await ask()
  } finally {
    clock.at = before
  }
}

// Deriving a key from a passphrase is slow by intent, so these are shared.
const oldPhrase = new Secret('the old passphrase')
const newPhrase = new Secret('the new passphrase')
const keyring = new Keyring(oldPhrase)
const rotated = new Keyring(newPhrase, [oldPhrase])
const forms = new SignedForm(keyring, clock)

const utf8 = (text: string) => new TextEncoder().encode(text)
const kid = keyring.current.id
const signKey = keyring.current.derive('token.sign')
const encryptKey = keyring.current.derive('token.encrypt')

/** What somebody who held our keys could make, one detail at a time different from what we make. */
async function forge(different: {
  claims?: unknown
  jwe?: Record<string, string>
  jws?: Record<string, string>
  payload?: string
  signKey?: Uint8Array
  encryptKey?: Uint8Array
}): Promise<string> {
  const jwe = await new CompactEncrypt(
    utf8(
      JSON.stringify(
        'claims' in different ? different.claims : { tid: TOKEN.id, exp: TOKEN.expiresAt.getTime() / 1_000 },
      ),
    ),
  )
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: 'bursar-token-claims', kid, ...different.jwe })
    .encrypt(different.encryptKey ?? encryptKey)
  return new CompactSign(utf8(different.payload ?? jwe))
    .setProtectedHeader({ alg: 'HS256', typ: 'bursar-token', kid, ...different.jws })
    .sign(different.signKey ?? signKey)
}

describe('a signed form stands for its token', () => {
  test('it is read back as the token that it was made from', async () => {
    expect(await forms.read(await forms.make(TOKEN))).toEqual({ id: TOKEN.id })
    expect(await forms.read(await forge({}))).toEqual({ id: TOKEN.id })
  })

  test('it expires with its token, to the millisecond', async () => {
    const form = await forms.make(TOKEN)
    expect(await at('2026-11-20T13:00:00.249Z', () => forms.read(form))).toEqual({ id: TOKEN.id })
    expect(await at('2026-11-20T13:00:00.250Z', () => forms.read(form))).toBe('expired')
    expect(await at('2036-01-01T00:00:00Z', () => forms.read(form))).toBe('expired')
  })

  test('nothing of the token can be read in it, and two forms of one token have no ciphertext in common', async () => {
    const form = await forms.make(TOKEN)
    const layers = form.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    const inner = (layers[1] ?? '').split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    for (const text of [form, ...layers, ...inner])
      expect(text).not.toMatch(/550e8400|446655440000|tid|exp|1795179600|2026-11-20/)

    const [, first] = form.split('.')
    const [, second] = (await forms.make(TOKEN)).split('.')
    expect(first).not.toBe(second)
  })

  test('it is short enough for a path and says only which key made it', async () => {
    const form = await forms.make(TOKEN)
    expect(form.length).toBeLessThan(500)
    expect(form).toMatch(/^[\w.-]+$/)
    expect(decodeProtectedHeader(form)).toEqual({ alg: 'HS256', typ: 'bursar-token', kid })
  })

  test('it is told from a plain token id at a glance', async () => {
    expect(looksSigned(await forms.make(TOKEN))).toBe(true)
    for (const plain of [TOKEN.id, TOKEN.id.toUpperCase(), randomUUID(), '', 'nonexistent-token'])
      expect(looksSigned(plain)).toBe(false)
  })
})

describe('rotating keys', () => {
  test('forms of the old passphrase are read as long as it is kept, and new ones are made with the new', async () => {
    const after = new SignedForm(rotated, clock)
    const old = await forms.make(TOKEN)
    const fresh = await after.make(TOKEN)
    expect(await after.read(old)).toEqual({ id: TOKEN.id })
    expect(await after.read(fresh)).toEqual({ id: TOKEN.id })
    expect(decodeProtectedHeader(fresh).kid).toBe(rotated.current.id)

    // Without the old passphrase its forms are nobody's; without the new one, the new ones are.
    expect(await new SignedForm(new Keyring(newPhrase), clock).read(old)).toBe('invalid')
    expect(await forms.read(fresh)).toBe('invalid')
  })
})

describe('what is not ours is invalid', () => {
  test('every single letter of a form matters', async () => {
    const form = await forms.make(TOKEN)
    const accepted: number[] = []
    for (let index = 0; index < form.length; index += 1) {
      for (const letter of ['A', '_', '.'].filter((other) => other !== form[index])) {
        const tampered = form.slice(0, index) + letter + form.slice(index + 1)
        if ((await forms.read(tampered)) !== 'invalid') accepted.push(index)
      }
    }
    expect(accepted).toEqual([])
  })

  test('a signature has one spelling: its last letter cannot be changed for one that decodes alike', async () => {
    const form = await forms.make(TOKEN)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const readable: string[] = []
    for (const letter of alphabet)
      if ((await forms.read(form.slice(0, -1) + letter)) !== 'invalid') readable.push(letter)
    expect(readable).toEqual([form.at(-1)])
  })

  test('the parts of two forms do not mix', async () => {
    const mine = (await forms.make(TOKEN)).split('.')
    const yours = (await forms.make({ id: randomUUID(), expiresAt: TOKEN.expiresAt })).split('.')
    expect(await forms.read([mine[0], yours[1], mine[2]].join('.'))).toBe('invalid')
    expect(await forms.read([mine[0], mine[1], yours[2]].join('.'))).toBe('invalid')
  })

  test('an expired form that was tampered with is invalid, not expired', async () => {
    const form = await forms.make(TOKEN)
    const tampered = `${form.slice(0, -10)}${form.at(-10) === 'A' ? 'B' : 'A'}${form.slice(-9)}`
    expect(await at('2030-01-01T00:00:00Z', () => forms.read(tampered))).toBe('invalid')
  })

  test('a bare JWE, an unsigned JWT and other kinds of text are invalid', async () => {
    const form = await forms.make(TOKEN)
    const [header, payload, signature] = form.split('.')
    const jwe = Buffer.from(payload ?? '', 'base64url').toString()
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'bursar-token', kid })).toString('base64url')
    for (const text of [
      jwe,
      new UnsecuredJWT({ tid: TOKEN.id }).encode(),
      `${none}.${payload}.`,
      `${none}.${payload}.${signature}`,
      `${header}.${payload}`,
      `${header}..${signature}`,
      ` ${form}`,
      `${form}\n`,
      `${form}=`,
      `${form}.`,
      TOKEN.id,
      'eyJ',
      'eyJ.eyJ.eyJ',
      '',
      '\ud800',
    ])
      expect(await forms.read(text), text).toBe('invalid')
  })

  test('an oversized text is invalid before anything is computed from it', async () => {
    const long = await forge({ payload: 'x'.repeat(4_000) })
    expect(long.length).toBeGreaterThan(4_096)
    expect(await forms.read(long)).toBe('invalid')
    expect(await forms.read('eyJ'.repeat(1_000_000))).toBe('invalid')
  })

  test.each([
    ['another type of JWS', { jws: { typ: 'JWT' } }],
    ['another type of JWE', { jwe: { typ: 'JWT' } }],
    ['an unknown outer key', { jws: { kid: 'ffffffff' } }],
    ['an unknown inner key', { jwe: { kid: 'ffffffff' } }],
    ['a key id that objects have by nature', { jws: { kid: '__proto__' } }],
    ['somebody else’s signature', { signKey: new Uint8Array(32) }],
    ['somebody else’s encryption', { encryptKey: new Uint8Array(32) }],
    ['our encryption key for a signature', { signKey: encryptKey }],
    ['a payload that is not encrypted', { payload: JSON.stringify({ tid: TOKEN.id, exp: 9_999_999_999 }) }],
    ['no payload', { payload: 'x' }],
    ['claims without an end', { claims: { tid: TOKEN.id } }],
    ['claims about something that is no token', { claims: { tid: 'admin', exp: 9_999_999_999 } }],
    ['an end that is no number', { claims: { tid: TOKEN.id, exp: '9999999999' } }],
    ['claims that are none', { claims: null }],
  ])('%s is invalid', async (_title, different) => {
    expect(await forms.read(await forge(different))).toBe('invalid')
  })

  test('only the pinned algorithms are taken, even with the right keys', async () => {
    const wide = new Uint8Array(64)
    expect(await forms.read(await forge({ jws: { alg: 'HS512' }, signKey: wide }))).toBe('invalid')
    expect(await forms.read(await forge({ jwe: { enc: 'A128CBC-HS256' } }))).toBe('invalid')
    expect(await forms.read(await forge({ jwe: { alg: 'A256KW' } }))).toBe('invalid')
  })

  test('inner and outer key are of one generation', async () => {
    const mixed = await forge({
      jwe: { kid: rotated.current.id },
      encryptKey: rotated.current.derive('token.encrypt'),
    })
    expect(await new SignedForm(rotated, clock).read(mixed)).toBe('invalid')
  })
})
