import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Things of one sort that a stand-in remembers, by id, in the order in which they first came. */
export interface Collection<Row extends { readonly id: string }> {
  get(id: string): Row | undefined
  /** Written down before this returns, so that a stand-in that is killed has not forgotten what it answered. */
  put(row: Row): Row
  values(): Row[]
  readonly size: number
}

interface Line {
  readonly in: string
  readonly row: { readonly id: string }
}

/**
 * A stand-in's memory. With a file it outlives the process: each change is one line of JSON, and opening it leaves one
 * line for each thing. Without a file it ends with the process, which is all that most tests need.
 */
export class Store {
  readonly #file: string | undefined
  readonly #collections = new Map<string, Map<string, { readonly id: string }>>()

  constructor(file?: string) {
    this.#file = file
    if (file === undefined) return
    mkdirSync(dirname(file), { recursive: true })
    for (const line of existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []) this.#remember(line)
    const lines = [...this.#collections].flatMap(([name, rows]) =>
      [...rows.values()].map((row) => `${JSON.stringify({ in: name, row } satisfies Line)}\n`),
    )
    writeFileSync(`${file}.new`, lines.join(''))
    renameSync(`${file}.new`, file)
  }

  collection<Row extends { readonly id: string }>(name: string): Collection<Row> {
    const rows = this.#rows(name) as Map<string, Row>
    return {
      get: (id) => rows.get(id),
      put: (row) => {
        if (this.#file !== undefined)
          appendFileSync(this.#file, `${JSON.stringify({ in: name, row } satisfies Line)}\n`)
        rows.set(row.id, row)
        return row
      },
      values: () => [...rows.values()],
      get size() {
        return rows.size
      },
    }
  }

  #rows(name: string): Map<string, { readonly id: string }> {
    const known = this.#collections.get(name) ?? new Map<string, { readonly id: string }>()
    this.#collections.set(name, known)
    return known
  }

  /** A line that was cut off by a kill was never answered for: it is passed over. */
  #remember(text: string): void {
    try {
      const { in: name, row } = JSON.parse(text) as Line
      this.#rows(name).set(row.id, row)
    } catch {}
  }
}
