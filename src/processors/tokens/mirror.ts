import { Token, voicePlace } from '../../domain/tokens/token.ts'
import { mirrorToken } from '../../jobs/tokens.ts'
import { assert } from '../../kit/assert.ts'
import { toJsonInteger } from '../../kit/money.ts'
import { staged } from '../shapes/staged.ts'

/** The record goes to the vault as it was issued. Writing it again writes the same. */
export const tokenMirror = staged(mirrorToken, {
  byKey: true,
  async begin({ em, input, operation }, { keyring }) {
    const token = await em.findOne(Token, { id: input.token_id })
    assert(token !== null, `Operation ${operation.id} speaks of a token that is not there`)
    return {
      budget: toJsonInteger(token.budget),
      voice_id: keyring.open(token.voiceId, voicePlace(token.id)),
      created_at: token.issuedAt?.toISOString(),
      expires_at: token.expiresAt?.toISOString(),
    }
  },

  async call({ input, begun }, { vault }) {
    // The vault may have been taken out of the configuration since this was asked for.
    if (vault === undefined) return false
    await vault.write(`tokens/${input.token_id}`, begun)
    return true
  },

  async finish(_work, { answer }) {
    return { mirrored: answer }
  },
})
