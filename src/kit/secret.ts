import { createSecretKey, type KeyObject } from 'node:crypto'
import { inspect } from 'node:util'

/** A value that prints as `<redacted>` wherever it is logged, stringified or inspected. `reveal()` and `asKey()` are the only ways in. */
export class Secret {
  readonly #value: string
  #key: KeyObject | undefined

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  /** For HMACs. Made once: from the text, a key is made anew for each of them, which takes five times as long as the HMAC. */
  asKey(): KeyObject {
    this.#key ??= createSecretKey(this.#value, 'utf8')
    return this.#key
  }

  toString(): string {
    return '<redacted>'
  }

  toJSON(): string {
    return '<redacted>'
  }

  [inspect.custom](): string {
    return '<redacted>'
  }
}
