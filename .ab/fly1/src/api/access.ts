import { createSecretKey, hash, timingSafeEqual } from 'node:crypto'
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose'
import type { Clock } from '../kit/clock.ts'
import { Fault } from '../kit/fault.ts'
import type { Secret } from '../kit/secret.ts'
import { accessRefusals } from './access-refusals.ts'
import { type Caller, isRole, nobody, type Role, roles } from './caller.ts'

export * from './caller.ts'

export interface JwtSettings {
  readonly secret: Secret
  /** Still accepted, so that a secret can be changed while tokens of the old one are about. */
  readonly previousSecrets: readonly Secret[]
  /** Set: only tokens signed by one of these keys are accepted, and the secrets are not looked at. */
  readonly jwksUrl?: string | undefined
  readonly audience?: string | undefined
  readonly issuer?: string | undefined
}

export interface AuthenticatorOptions {
  readonly jwt: JwtSettings
  readonly board?: { readonly username: string; readonly password: Secret } | undefined
  readonly clock: Clock
}

/** Checking a signature costs some ten times what remembering it does; 10,000 tokens are about 5 MB. */
const REMEMBERED_TOKENS = 10_000

/** No longer than this, so that a withdrawn key stops opening the door soon. */
const REMEMBERED_MS = 5 * 60_000

/**
 * A subject is stored and shown, so it has a length, and no control characters (PostgreSQL's text takes no NUL). One that
 * begins with a space is ours: what Bursar asks of itself is nobody else's to read.
 */
const SUBJECT = /^[^\s\p{Cc}][^\p{Cc}]{0,254}$/u

/** Signatures by somebody else's private key. No HS256: a public key must never serve as a shared secret. */
const ASYMMETRIC = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** An issuer that takes longer is as good as away. */
const JWKS_TIMEOUT_MS = 3_000

type Verify = (token: string, options: JWTVerifyOptions) => Promise<JWTPayload>

/** Turns an Authorization header into a caller, or a 401 that says what is wrong with it. */
export class Authenticator {
  readonly #clock: Clock
  readonly #verify: Verify
  readonly #expected: JWTVerifyOptions
  readonly #board: { credentials: Buffer; caller: Caller } | undefined
  /** By digest of the token, so that a memory dump holds none. The one used longest ago is in front. */
  readonly #remembered = new Map<string, { caller: Caller; until: number }>()

  constructor({ jwt, board, clock }: AuthenticatorOptions) {
    this.#clock = clock
    this.#verify =
      jwt.jwksUrl === undefined ? bySecrets([jwt.secret, ...jwt.previousSecrets]) : byIssuer(new URL(jwt.jwksUrl))
    this.#expected = { audience: jwt.audience, issuer: jwt.issuer }
    if (board !== undefined)
      this.#board = {
        credentials: digest(`${board.username}:${board.password.reveal()}`),
        caller: { subject: `board:${board.username}`, roles: new Set(['operator']) },
      }
  }

  /** No header: nobody. `basic` says that the route takes the board's user name and password, too. */
  async authenticate(header: string | undefined, options: { basic?: boolean } = {}): Promise<Caller> {
    if (header === undefined) return nobody
    const [, scheme, credentials] = /^(\S+) +(\S+)$/.exec(header.trim()) ?? []
    if (scheme === undefined || credentials === undefined)
      throw unauthenticated('The Authorization header is malformed')
    if (/^bearer$/i.test(scheme)) return this.#bearer(credentials)
    if (/^basic$/i.test(scheme) && options.basic === true) return this.#basic(credentials)
    throw unauthenticated('The scheme of the Authorization header is not accepted here')
  }

  async #bearer(token: string): Promise<Caller> {
    const key = hash('sha256', token, 'base64')
    const now = this.#clock.now()
    const remembered = this.#remembered.get(key)
    if (remembered !== undefined) {
      this.#remembered.delete(key)
      if (remembered.until > now.getTime()) {
        this.#remembered.set(key, remembered)
        return remembered.caller
      }
    }
    const claims = await this.#claims(token, now)
    const caller = callerOf(claims)
    this.#remember(key, caller, Math.min((claims.exp ?? Infinity) * 1000, now.getTime() + REMEMBERED_MS))
    return caller
  }

  async #claims(token: string, now: Date): Promise<JWTPayload> {
    try {
      return await this.#verify(token, { ...this.#expected, currentDate: now })
    } catch (error) {
      throw isTokensFault(error)
        ? unauthenticated(problemOf(error))
        : new Fault("The token issuer's keys (JWT_JWKS_URL) cannot be read", { cause: error })
    }
  }

  #remember(key: string, caller: Caller, until: number): void {
    this.#remembered.set(key, { caller, until })
    if (this.#remembered.size <= REMEMBERED_TOKENS) return
    const oldest = this.#remembered.keys().next()
    if (!oldest.done) this.#remembered.delete(oldest.value)
  }

  #basic(credentials: string): Caller {
    const given = digest(Buffer.from(credentials, 'base64').toString('utf8'))
    // Digests are of one length, so that comparing takes one time whatever was given.
    if (this.#board !== undefined && timingSafeEqual(given, this.#board.credentials)) return this.#board.caller
    throw unauthenticated('User name or password is wrong')
  }
}

const digest = (text: string): Buffer => hash('sha256', text, 'buffer')

const unauthenticated = (problem: string) => accessRefusals.unauthenticated({ problem })

function bySecrets(secrets: readonly Secret[]): Verify {
  const keys = secrets.map((secret) =>
    createSecretKey(Buffer.from(secret.reveal())).toCryptoKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['verify']),
  )
  return async (token, options) => {
    let mismatch: unknown
    for (const key of keys) {
      try {
        return (await jwtVerify(token, key, { ...options, algorithms: ['HS256'] })).payload
      } catch (error) {
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error
        mismatch ??= error
      }
    }
    throw mismatch
  }
}

function byIssuer(url: URL): Verify {
  const keys = createRemoteJWKSet(url, { timeoutDuration: JWKS_TIMEOUT_MS })
  return async (token, options) => (await jwtVerify(token, keys, { ...options, algorithms: ASYMMETRIC })).payload
}

/** What is wrong with the token itself; everything else is wrong with the way to the issuer's keys. */
const TOKENS_FAULTS = [
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
]

const isTokensFault = (error: unknown): boolean => TOKENS_FAULTS.some((kind) => error instanceof kind)

function problemOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired'
  if (error instanceof errors.JWTClaimValidationFailed) return `The token's «${error.claim}» is not accepted`
  if (error instanceof errors.JOSEAlgNotAllowed) return "The token's algorithm is not accepted"
  if (error instanceof errors.JWSSignatureVerificationFailed) return "The token's signature is wrong"
  if (error instanceof errors.JWKSNoMatchingKey) return 'The token is signed with a key that is not known'
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'The token does not say which key signed it («kid»)'
  return 'The token is malformed'
}

function callerOf(claims: JWTPayload): Caller {
  const { sub, roles: claimed } = claims
  if (typeof sub !== 'string' || !SUBJECT.test(sub))
    throw unauthenticated('The token names no user: «sub» must have 1 to 255 characters')
  return { subject: sub, roles: rolesOf(claimed) }
}

function rolesOf(claimed: unknown): ReadonlySet<Role> {
  if (claimed === undefined) return new Set(['user'])
  if (!Array.isArray(claimed) || !claimed.every(isRole))
    throw unauthenticated(`The token's «roles» must be a list of ${roles.join(', ')}`)
  return new Set(claimed.length === 0 ? ['user'] : claimed)
}
