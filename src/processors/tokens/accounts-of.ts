import type { IssuedTokens } from '../../domain/tokens/batch.ts'

/** The account to lock for an input that names a token; none when there is no such token. */
export function accountsOf(input: { token_id: string }, tokens: IssuedTokens): readonly string[] {
  const token = tokens.get(input.token_id.toLowerCase())
  return token === undefined ? [] : [token.accountId]
}
