import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  scryptSync,
} from 'node:crypto'
import { Fault } from './fault.ts'
import type { Secret } from './secret.ts'

/** One generation of key material, derived from a passphrase. The id names it beside everything it has sealed or signed. */
export interface Key {
  readonly id: string
  derive(purpose: string): Buffer
}

/** scrypt parameters: about 50 ms once per key at start, so that a weak passphrase costs whoever guesses it. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }

function keyFrom(passphrase: Secret): Key {
  const master = scryptSync(passphrase.reveal(), 'bursar', 32, SCRYPT)
  const id = createHash('sha256').update('key id').update(master).digest('hex').slice(0, 8)
  return { id, derive: (purpose) => Buffer.from(hkdfSync('sha256', master, '', purpose, 32)) }
}

const SEALED = /^enc:([0-9a-f]{8}):([\w-]+)$/

/**
 * The keys that seal what must not be readable in the database (AES-256-GCM). The first key seals, every key opens: to
 * rotate, put a new passphrase in front and keep the old one until nothing sealed with it is left.
 */
export class Keyring {
  readonly keys: readonly Key[]
  // Key objects: raw bytes are made into one anew for each call, which takes longer than the call itself.
  readonly #sealing: Map<string, KeyObject>
  #digest: KeyObject

  constructor(current: Secret, previous: readonly Secret[] = []) {
    this.keys = [current, ...previous].map(keyFrom)
    this.#sealing = new Map(this.keys.map((key) => [key.id, createSecretKey(key.derive('seal'))]))
    this.#digest = createSecretKey(this.current.derive('digest'))
  }

  /** Digests must stay comparable over every rotation, so their key is kept beside the data, sealed, and handed in at start. */
  useDigestKey(key: Buffer): void {
    this.#digest = createSecretKey(key)
  }

  /** Whether a value was sealed with the key that seals now. */
  isCurrent(sealed: string): boolean {
    return sealed.startsWith(`enc:${this.current.id}:`)
  }

  get current(): Key {
    return this.keys[0] as Key
  }

  /** `enc:<key id>:<nonce, tag and ciphertext>`. `context` binds it to its place: it does not open anywhere else. */
  seal(plain: string, context: string): string {
    const nonce = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#sealing.get(this.current.id) as KeyObject, nonce).setAAD(
      Buffer.from(context),
    )
    const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return `enc:${this.current.id}:${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')}`
  }

  /** Opens what `seal` made. A key that is no longer configured is a fault: an operator can bring it back. */
  open(sealed: string, context: string): string {
    const [, id, payload] = SEALED.exec(sealed) ?? []
    if (id === undefined || payload === undefined) throw new Fault('A sealed value is malformed')
    const key = this.#sealing.get(id)
    if (key === undefined)
      throw new Fault(
        `A value is sealed with key ${id}, which is not configured: add its passphrase to ENCRYPTION_KEY_PREVIOUS`,
      )
    const bytes = Buffer.from(payload, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(context))
    decipher.setAuthTag(bytes.subarray(12, 28))
    return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
  }

  isSealed(value: unknown): value is string {
    return typeof value === 'string' && SEALED.test(value)
  }

  /** A keyed digest for look-ups of values that are stored sealed: equal values meet, but nobody can guess them back. */
  digest(value: string): Buffer {
    return createHmac('sha256', this.#digest).update(value).digest()
  }
}
