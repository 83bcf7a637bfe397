import { parseArgs } from 'node:util'

export const backends = ['redis', 'postgres'] as const
export type Backend = (typeof backends)[number]

export interface Options {
  readonly minutes: number
  readonly backend: Backend
  readonly clients: number
  readonly everySeconds: number
  /** Where the results go as JSON. */
  readonly results: string
}

export const HELP = `npm run soak -- [--minutes 10] [--backend redis|postgres] [--clients 32] [--every 5]

Puts full load on an API, a worker and a scheduler for some minutes, looks at the memory of each process every few
seconds, and ends with 1 when one of them, or what they keep, grows.
`

/** The caller can mend this. */
export class UsageError extends Error {}

/** Undefined when help was asked for. */
export function readOptions(words: readonly string[], results: string): Options | undefined {
  const values = parsed(words, results)
  if (values.help) return undefined
  const backend = backends.find((name) => name === values.backend)
  if (backend === undefined) throw new UsageError(`--backend is one of ${backends.join(', ')}`)
  return {
    backend,
    minutes: number('minutes', values.minutes, 0.1, 10_080),
    clients: number('clients', values.clients, 1, 1_000),
    everySeconds: number('every', values.every, 0.1, 600),
    results: values.results,
  }
}

function parsed(words: readonly string[], results: string) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        minutes: { type: 'string', default: '10' },
        backend: { type: 'string', default: 'redis' },
        clients: { type: 'string', default: '32' },
        every: { type: 'string', default: '5' },
        results: { type: 'string', default: results },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text === '' || !(value >= least && value <= most))
    throw new UsageError(`--${name} is a number from ${least} to ${most}`)
  return value
}
