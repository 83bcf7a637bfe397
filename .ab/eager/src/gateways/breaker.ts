import { type Clock, systemClock } from '../kit/clock.ts'
import type { Gateway, NotSent } from './port.ts'

/*
 * Written by hand, after a look at the libraries. Their breakers throw where ours has to answer, judge thrown errors or rates
 * where ours judges runs of answers, and let callers wait for the probe, here as long as a gateway's time limit, where ours
 * says at once that nothing was sent, so that another gateway can be asked.
 */

export type CircuitState = 'closed' | 'open' | 'half_open'

/** What is known of a gateway's health by its answers to this process. */
export interface Circuit {
  readonly state: CircuitState
  /** How often it was opened since the start. */
  readonly openings: number
}

export interface Guarded extends Gateway {
  readonly circuit: Circuit
}

export interface BreakerOptions {
  /** Answers in a row that leave a request unsent or unknown, after which nothing more is sent. */
  readonly failures?: number
  /** Milliseconds within which they come in: five in a day are no outage. */
  readonly windowMs?: number
  /** Milliseconds for which nothing is sent; then one request goes as a probe, the others still do not. */
  readonly restMs?: number
  readonly clock?: Clock
}

const FAILURES = 5
const WINDOW_MS = 60_000
const REST_MS = 30_000

/**
 * Stops sending what moves money to a gateway that does not answer. Look-ups, cancellations and lists always pass: they are how
 * what is unknown becomes known.
 */
export function guarded(gateway: Gateway, options: BreakerOptions = {}): Guarded {
  const circuit = new Breaker(options)
  const refused: NotSent = { outcome: 'not_sent', reason: `${gateway.name} did not answer lately: its circuit is open` }
  const guard =
    <Request, Reply extends { readonly outcome: string }>(ask: (request: Request) => Promise<Reply>) =>
    (request: Request): Promise<Reply | NotSent> =>
      circuit.run(() => ask(request), refused)

  return {
    ...gateway,
    circuit,
    charge: guard((request) => gateway.charge(request)),
    capture: guard((request) => gateway.capture(request)),
    refund: guard((request) => gateway.refund(request)),
    payout: guard((request) => gateway.payout(request)),
  }
}

class Breaker implements Circuit {
  readonly #failures: number
  readonly #windowMs: number
  readonly #restMs: number
  readonly #clock: Clock
  /** When the failures of the present run came, oldest first. */
  #run: number[] = []
  #openedAt: number | undefined
  #probing = false
  openings = 0

  constructor(options: BreakerOptions) {
    this.#failures = options.failures ?? FAILURES
    this.#windowMs = options.windowMs ?? WINDOW_MS
    this.#restMs = options.restMs ?? REST_MS
    this.#clock = options.clock ?? systemClock
  }

  get state(): CircuitState {
    if (this.#openedAt === undefined) return 'closed'
    return this.#now() - this.#openedAt < this.#restMs ? 'open' : 'half_open'
  }

  async run<Reply extends { readonly outcome: string }, Refused>(
    ask: () => Promise<Reply>,
    refused: Refused,
  ): Promise<Reply | Refused> {
    const probe = this.state === 'half_open'
    if (this.state === 'open' || (probe && this.#probing)) return refused
    if (probe) this.#probing = true
    try {
      const reply = await ask()
      this.#judge(reply.outcome === 'not_sent' || reply.outcome === 'unknown', probe)
      return reply
    } finally {
      if (probe) this.#probing = false
    }
  }

  #judge(failed: boolean, probe: boolean): void {
    // What was on its way before it opened says nothing new: only the probe decides.
    if (this.#openedAt !== undefined && !probe) return
    if (!failed) {
      this.#run = []
      this.#openedAt = undefined
      return
    }
    const now = this.#now()
    this.#run = [...this.#run, now].filter((at) => now - at < this.#windowMs)
    if (!probe && this.#run.length < this.#failures) return
    this.#run = []
    this.#openedAt = now
    this.openings += 1
  }

  #now(): number {
    return this.#clock.now().getTime()
  }
}
