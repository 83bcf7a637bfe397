import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { type Backend, backends } from './deployment.ts'

export const USAGE = `Usage: npm run chaos -- [options]

  --faults N      how many faults to inject (300)
  --seed N        repeats the faults of a run (a random one, printed)
  --backend B     where the queue lives: redis, postgres, both, or cluster (both)
  --clients N     clients at once (24)
  --rate N        steps of all clients together in a second (120)
  --out FILE      the report as JSON (chaos/results/latest.json)
  --help          this text

Exit code 0: nothing was lost, doubled, left open or told wrongly. 1: something was, and is listed. 64: not understood.`

export interface Options {
  readonly faults: number
  readonly seed: number
  readonly backends: readonly Backend[]
  readonly clients: number
  readonly rate: number
  readonly out: string | undefined
}

/** The caller of the command can mend this. */
export class Misuse extends Error {}

const SEEDS = 2 ** 31

/** `help` when that is what was asked for. Throws `Misuse` for what nobody can have meant. */
export function readOptions(words: readonly string[]): Options | 'help' {
  const values = parsed(words)
  if (values.help) return 'help'
  return {
    faults: whole('faults', values.faults, 0, 100_000),
    seed: values.seed === undefined ? randomInt(SEEDS) : whole('seed', values.seed, 0, 2 ** 32 - 1),
    backends: chosen(values.backend),
    clients: whole('clients', values.clients, 1, 1_000),
    rate: whole('rate', values.rate, 1, 100_000),
    out: values.out,
  }
}

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        faults: { type: 'string', default: '300' },
        seed: { type: 'string' },
        backend: { type: 'string', default: 'both' },
        clients: { type: 'string', default: '24' },
        rate: { type: 'string', default: '120' },
        out: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    throw new Misuse(error instanceof Error ? error.message : String(error))
  }
}

function whole(name: string, text: string, from: number, to: number): number {
  const number = Number(text)
  if (!/^\d+$/.test(text) || number < from || number > to)
    throw new Misuse(`--${name} takes a whole number from ${from} to ${to}, not «${text}»`)
  return number
}

function chosen(text: string): readonly Backend[] {
  if (text === 'both') return ['redis', 'postgres']
  const one = backends.find((backend) => backend === text)
  if (one === undefined) throw new Misuse(`--backend takes ${backends.join(', ')} or both, not «${text}»`)
  return [one]
}
