import { deductToken, issueToken, revokeToken } from '../../src/jobs/tokens.ts'
import type { Client } from '../client.ts'
import type { Told, Wish } from '../records.ts'
import type { Audited, Evidence, Load } from './load.ts'
import { STANDING_BUDGET } from './standing.ts'
import { auditTokens } from './tokens-audit.ts'

/** Tokens that outlast every run: what is asked of them in reason is never refused. */
const STANDING = 12

/** Voices are few, so that the sandbox counts them one by one to the end of the longest run. */
const VOICES = 400
const WEALTHY = `limits_${STANDING_BUDGET}_${1e15 - 1}_${1e15 - 1}`

/** A voice about which the service says nothing may have 500 in one token. */
const OVER_LIMIT = 501

/** Issued, spent to the end and revoked while the run goes on. */
const SMALL_BUDGET = 30

/** Small tokens that are still in play; more are forgotten, and only audited. */
const MAX_SMALL = 60

/** Seconds that a client that wants to know stays with an operation before it walks away. */
const FOLLOWED = 15
const WAITED = 5

/** Seconds that a probe may take: more than a killed worker, a relay's grace and a kind's first tries together. */
const PROBED = 120

/** Keys that a client may come back to. */
const REMEMBERED = 500

const issue = (voice: string, budget: number): Wish => ({
  kind: issueToken.name,
  method: 'POST',
  path: '/token',
  body: { voice_id: voice, budget },
})
const deduct = (token: string, amount: number): Wish => ({
  kind: deductToken.name,
  method: 'POST',
  path: `/token/${token}/deduct`,
  body: { amount },
})
const revoke = (token: string): Wish => ({ kind: revokeToken.name, method: 'DELETE', path: `/token/${token}` })

/** Payment tokens: issued, spent, overdrawn, revoked, and asked for again under old keys. */
export class Tokens implements Load {
  readonly name = 'tokens'
  readonly weight = 1
  readonly #standing: string[] = []
  readonly #small: string[] = []
  readonly #past: Told[] = []
  readonly #deeds: readonly { readonly weight: number; readonly does: (client: Client) => Promise<void> }[] = [
    { weight: 56, does: (client) => this.#spend(client) },
    { weight: 7, does: (client) => this.#overdraw(client) },
    { weight: 10, does: (client) => this.#issueSmall(client) },
    { weight: 3, does: (client) => this.#issueInVain(client) },
    { weight: 12, does: (client) => this.#spendSmall(client) },
    { weight: 3, does: (client) => this.#revokeSmall(client) },
    { weight: 8, does: (client) => this.#repeat(client) },
    { weight: 1, does: (client) => this.#misuse(client) },
  ]

  async setUp(client: Client): Promise<void> {
    await Promise.all(
      Array.from({ length: STANDING }, async (_, n) => {
        const told = await client.submit(issue(`${WEALTHY}_standing_${n}`, STANDING_BUDGET), { wait: 30 })
        const id = tokenIn(told)
        if (id === undefined) throw new Error(`A token could not be issued: ${JSON.stringify(told.outcome)}`)
        this.#standing.push(id)
      }),
    )
  }

  step(client: Client): Promise<void> {
    return client.dice.weighted(this.#deeds).does(client)
  }

  async probe(client: Client): Promise<void> {
    const told = await client.submit(deduct(client.dice.pick(this.#standing), 1), { wait: WAITED })
    // What is not done by then is lost, or will be found open: the audit says which.
    await client.follow(told, PROBED)
  }

  audit(evidence: Evidence): Promise<Audited> {
    return auditTokens(evidence, { standing: new Set(this.#standing) })
  }

  async #spend(client: Client): Promise<void> {
    await this.#do(client, deduct(client.dice.pick(this.#standing), client.dice.between(1, 9)))
  }

  async #overdraw(client: Client): Promise<void> {
    await this.#do(client, deduct(client.dice.pick(this.#standing), STANDING_BUDGET + 1))
  }

  async #issueSmall(client: Client): Promise<void> {
    const told = await this.#do(client, issue(`${WEALTHY}_${client.dice.between(1, VOICES)}`, SMALL_BUDGET))
    const id = tokenIn(told)
    if (id === undefined) return
    this.#small.push(id)
    if (this.#small.length > MAX_SMALL) this.#small.shift()
  }

  async #issueInVain(client: Client): Promise<void> {
    const voice = client.dice.between(1, VOICES)
    if (client.dice.chance(0.5)) await this.#do(client, issue(`reject_${voice}`, SMALL_BUDGET))
    else await this.#do(client, issue(`modest_${voice}`, OVER_LIMIT))
  }

  async #spendSmall(client: Client): Promise<void> {
    if (this.#small.length === 0) return this.#spend(client)
    await this.#do(client, deduct(client.dice.pick(this.#small), client.dice.between(1, 10)))
  }

  async #revokeSmall(client: Client): Promise<void> {
    if (this.#small.length === 0) return this.#spend(client)
    const token = client.dice.pick(this.#small)
    await this.#do(client, revoke(token))
    // It is sometimes revoked, and spent, again: which must be refused.
    if (client.dice.chance(0.7) && this.#small.includes(token)) this.#small.splice(this.#small.indexOf(token), 1)
  }

  async #repeat(client: Client): Promise<void> {
    if (this.#past.length === 0) return this.#spend(client)
    await client.repeat(client.dice.pick(this.#past), client.dice.chance(0.5) ? { wait: WAITED } : {})
  }

  async #misuse(client: Client): Promise<void> {
    if (this.#past.length === 0) return this.#spend(client)
    const told = client.dice.pick(this.#past)
    const other = told.kind === issueToken.name ? { ...(told.body as object), budget: 11 } : { amount: 11 }
    if (told.body !== undefined) await client.misuse(told, other)
  }

  /** Some clients wait with the request, some poll, and some never come back. */
  async #do(client: Client, wish: Wish): Promise<Told> {
    const told = await client.submit(wish, client.dice.chance(0.35) ? { wait: WAITED } : {})
    if (client.dice.chance(0.7)) await client.follow(told, FOLLOWED)
    this.#past.push(told)
    if (this.#past.length > REMEMBERED) this.#past.shift()
    return told
  }
}

function tokenIn({ outcome }: Told): string | undefined {
  if (outcome?.status !== 'succeeded') return undefined
  const { token_id: id } = outcome.result as { token_id?: unknown }
  return typeof id === 'string' ? id : undefined
}
