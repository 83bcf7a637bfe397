import { CompactEncrypt, CompactSign, compactDecrypt, compactVerify, errors } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../kit/clock.ts'
import type { Key, Keyring } from '../../kit/keyring.ts'

/*
 * A payment token's id is a credential that says nothing about itself. Its signed form is the same credential in an envelope:
 *
 *   JWS (HS256), which whoever changed a letter cannot have made
 *     └─ JWE (dir, A256GCM), which nobody else can read
 *          └─ { tid: the token's id, exp: when it stops, in seconds since 1970 }
 *
 * The signature is checked first, so that nothing of a stranger's making is ever decrypted.
 */

const SIGNED = { alg: 'HS256', typ: 'bursar-token' } as const
const ENCRYPTED = { alg: 'dir', enc: 'A256GCM', typ: 'bursar-token-claims' } as const

/** Characters. Ours have about 420; the rest is room for longer key ids, not for somebody's megabyte. */
const MAX_LENGTH = 4_096

/** Header, payload and the 32 bytes of an HS256 signature. A bare JWE has five parts and stops here. */
const COMPACT_JWS = /^eyJ[\w-]+\.[\w-]+\.([\w-]{43})$/

const Claims = z.object({ tid: z.uuid(), exp: z.number() })

/** Cheaply: is this a signed form rather than a plain token id? `eyJ` is how `{"` begins in base64, and no UUID holds a y. */
export const looksSigned = (text: string): boolean => text.startsWith('eyJ')

interface FormKey {
  readonly id: string
  readonly sign: Uint8Array
  readonly encrypt: Uint8Array
}

const formKey = (key: Key): FormKey => ({
  id: key.id,
  sign: key.derive('token.sign'),
  encrypt: key.derive('token.encrypt'),
})

/** Makes signed forms with the keyring's current key, and reads those of every key that is still on it. */
export class SignedForm {
  readonly #clock: Clock
  readonly #current: FormKey
  readonly #keys: ReadonlyMap<string, FormKey>

  constructor(keyring: Keyring, clock: Clock) {
    this.#clock = clock
    this.#current = formKey(keyring.current)
    this.#keys = new Map(keyring.keys.map((key) => [key.id, formKey(key)]))
  }

  async make(token: { id: string; expiresAt: Date }): Promise<string> {
    const { id: kid, sign, encrypt } = this.#current
    const claims = JSON.stringify({ tid: token.id, exp: token.expiresAt.getTime() / 1_000 })
    const jwe = await new CompactEncrypt(utf8(claims)).setProtectedHeader({ ...ENCRYPTED, kid }).encrypt(encrypt)
    return new CompactSign(utf8(jwe)).setProtectedHeader({ ...SIGNED, kid }).sign(sign)
  }

  /** The token's id, or why there is none. `expired` is only said of a form that we made. */
  async read(text: string): Promise<{ id: string } | 'invalid' | 'expired'> {
    const claims = await this.#open(text)
    if (claims === undefined) return 'invalid'
    return this.#clock.now().getTime() / 1_000 < claims.exp ? { id: claims.tid } : 'expired'
  }

  async #open(text: string): Promise<z.infer<typeof Claims> | undefined> {
    if (text.length > MAX_LENGTH || !isCanonical(text)) return undefined
    try {
      const signed = await compactVerify(text, ({ kid }) => this.#key(kid).sign, { algorithms: [SIGNED.alg] })
      if (signed.protectedHeader.typ !== SIGNED.typ) return undefined

      const encrypted = await compactDecrypt(signed.payload, ({ kid }) => this.#key(kid).encrypt, {
        keyManagementAlgorithms: [ENCRYPTED.alg],
        contentEncryptionAlgorithms: [ENCRYPTED.enc],
      })
      const { typ, kid } = encrypted.protectedHeader
      if (typ !== ENCRYPTED.typ || kid !== signed.protectedHeader.kid) return undefined

      return Claims.safeParse(JSON.parse(new TextDecoder().decode(encrypted.plaintext))).data
    } catch (error) {
      // Everything that a stranger can cause; what else may be thrown is ours.
      if (error instanceof errors.JOSEError || error instanceof SyntaxError) return undefined
      throw error
    }
  }

  #key(kid: unknown): FormKey {
    const key = typeof kid === 'string' ? this.#keys.get(kid) : undefined
    if (key === undefined) throw new errors.JWSInvalid('unknown kid')
    return key
  }
}

/**
 * The last letter of a signature carries two bits that decoding ignores: a form changed there would still be genuine. One form
 * has one spelling.
 */
function isCanonical(text: string): boolean {
  const signature = COMPACT_JWS.exec(text)?.[1]
  return signature !== undefined && Buffer.from(signature, 'base64url').toString('base64url') === signature
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
