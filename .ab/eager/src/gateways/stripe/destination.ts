/** A place to which Stripe pays out, read from the token that a customer saved. */
export interface Destination {
  /** A connected account; undefined: our own. */
  readonly account?: string
  /** A bank account or debit card of it; undefined: its default one. */
  readonly bank?: string
}

const DESTINATION = /^(?:(acct_\w+)(?:\/((?:ba|card)_\w+))?|((?:ba|card)_\w+))$/

export function parseDestination(token: string): Destination | undefined {
  const match = DESTINATION.exec(token)
  if (match === null) return undefined
  const [, account, bankOfAccount, ownBank] = match
  const bank = bankOfAccount ?? ownBank
  return { ...(account === undefined ? {} : { account }), ...(bank === undefined ? {} : { bank }) }
}
