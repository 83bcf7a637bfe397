import type { Gateway } from './port.ts'

/** One call that was made, with what came of it: an outcome of the port, `answered` where there is none, or `fault`. */
export type Timed = (call: { gateway: Gateway['name']; method: Method; seconds: number; outcome: string }) => void

type Method = Exclude<keyof Gateway, 'name' | 'capabilities'>

/** A gateway whose calls are told of, for metrics. */
export function timed(gateway: Gateway, tell: Timed): Gateway {
  async function time<Reply>(method: Method, ask: () => Promise<Reply>): Promise<Reply> {
    const begun = performance.now()
    let outcome = 'fault'
    try {
      const reply = await ask()
      outcome = outcomeOf(reply)
      return reply
    } finally {
      tell({ gateway: gateway.name, method, seconds: (performance.now() - begun) / 1_000, outcome })
    }
  }

  return {
    name: gateway.name,
    capabilities: gateway.capabilities,
    charge: (request) => time('charge', () => gateway.charge(request)),
    confirm: (request) => time('confirm', () => gateway.confirm(request)),
    capture: (request) => time('capture', () => gateway.capture(request)),
    cancel: (request) => time('cancel', () => gateway.cancel(request)),
    lookUpCharge: (request) => time('lookUpCharge', () => gateway.lookUpCharge(request)),
    refund: (request) => time('refund', () => gateway.refund(request)),
    lookUpRefund: (request) => time('lookUpRefund', () => gateway.lookUpRefund(request)),
    payout: (request) => time('payout', () => gateway.payout(request)),
    lookUpPayout: (request) => time('lookUpPayout', () => gateway.lookUpPayout(request)),
    describeMethod: (request) => time('describeMethod', () => gateway.describeMethod(request)),
    list: (request) => time('list', () => gateway.list(request)),
    reachable: () => time('reachable', () => gateway.reachable()),
  }
}

function outcomeOf(reply: unknown): string {
  if (reply === false) return 'unreachable'
  const { outcome } = Object(reply) as { outcome?: unknown }
  return typeof outcome === 'string' ? outcome : 'answered'
}
