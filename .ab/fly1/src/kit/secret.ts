import { inspect } from 'node:util'

/** A value that prints as `<redacted>` wherever it is logged, stringified or inspected. `reveal()` is the only way in. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
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
