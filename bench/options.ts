import { parseArgs } from 'node:util'

export type Backend = 'postgres' | 'redis'

export interface Options {
  /** Names of the sections to run; all when empty. */
  readonly only: readonly string[]
  /** How long a round takes, about. */
  readonly seconds: number
  /** Rounds of each measure, after its warm-up. */
  readonly rounds: number
  /** Requests on their way at once. */
  readonly connections: number
  /** Rows of operations and transfers to measure with, in the order in which the tables grow. */
  readonly rows: readonly number[]
  /** Customers of a month's invoices, 10 events each, in the order in which they grow. */
  readonly customers: readonly number[]
  readonly backends: readonly Backend[]
  /** A PostgreSQL server in place of one of the benchmark's own. */
  readonly server: string | undefined
  readonly results: string
}

export const HELP = `npm run bench -- [options]

  --only a,b           these sections, not all
  --quick              short rounds, small tables: shows that everything runs, not how fast
  --seconds 10         how long a round takes, about
  --rounds 3           rounds of each measure; medians count
  --connections 512    requests on their way at once
  --rows 0,1000000,10000000
                       rows of operations and transfers to measure with
  --customers 100000,300000
                       customers to bill a month to; the promise goes to 1000000
  --backends postgres,redis
                       where the queue is
  --server URL         a PostgreSQL server where databases may be made, in place of one of the benchmark's own
  --results DIR        where latest.json and latest.svg go (bench/results)
  --help
`

const FULL = { seconds: '10', rounds: '3', rows: '0,1000000,10000000', customers: '100000,300000' }
const QUICK = { seconds: '2', rounds: '2', rows: '0,100000', customers: '10000,20000' }

/** Reads the command line. Undefined when help was asked for. */
export function readOptions(words: readonly string[], defaultResults: string): Options | undefined {
  const { values } = parseArgs({
    args: [...words],
    options: {
      only: { type: 'string', default: '' },
      quick: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      connections: { type: 'string', default: '512' },
      rows: { type: 'string' },
      customers: { type: 'string' },
      backends: { type: 'string', default: 'postgres,redis' },
      server: { type: 'string' },
      results: { type: 'string', default: defaultResults },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const defaults = values.quick ? QUICK : FULL
  return {
    only: listed(values.only),
    seconds: figure('seconds', values.seconds ?? defaults.seconds, 0.1),
    rounds: figure('rounds', values.rounds ?? defaults.rounds, 1),
    connections: figure('connections', values.connections, 1),
    rows: listed(values.rows ?? defaults.rows).map((text) => figure('rows', text, 0)),
    customers: listed(values.customers ?? defaults.customers).map((text) => figure('customers', text, 1)),
    backends: listed(values.backends).map(backend),
    server: values.server,
    results: values.results,
  }
}

const listed = (text: string): string[] => text.split(',').filter(Boolean)

function figure(name: string, text: string, least: number): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value < least) throw new UsageError(`--${name} wants numbers from ${least} on`)
  return value
}

function backend(text: string): Backend {
  if (text !== 'postgres' && text !== 'redis') throw new UsageError('--backends knows postgres and redis')
  return text
}

/** The command line cannot be understood: the message says why. */
export class UsageError extends Error {}
