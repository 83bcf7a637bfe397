import { type IssuedTokens, issuedTokens } from '../../domain/tokens/batch.ts'
import type { Sql } from '../../kit/sql.ts'

interface NamesToken {
  readonly token_id: string
}

/** What a batch of inputs that each name a token reads, and the account that each of them locks: none where there is no such token. */
export const namedToken = {
  subjects: (sql: Sql, inputs: readonly NamesToken[]): Promise<IssuedTokens> =>
    issuedTokens(
      sql,
      inputs.map(({ token_id }) => token_id),
    ),
  accounts({ token_id }: NamesToken, tokens: IssuedTokens): readonly string[] {
    const token = tokens.get(token_id.toLowerCase())
    return token === undefined ? [] : [token.accountId]
  },
}
