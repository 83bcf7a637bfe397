import { platformAccount } from '../../domain/ledger/platform-accounts.ts'
import { takeAllowance, type VoiceLimits } from '../../domain/tokens/allowance.ts'
import { tokenRefusals } from '../../domain/tokens/refusals.ts'
import { activate, decline, TOKEN_LIFETIME_SECONDS, Token, tokenOwner, voicePlace } from '../../domain/tokens/token.ts'
import { issueToken } from '../../jobs/tokens.ts'
import { assert } from '../../kit/assert.ts'
import { newCredential } from '../../kit/ids.ts'
import { Refusal } from '../../kit/refusal.ts'
import { staged } from '../shapes/staged.ts'

type Answer = { readonly verified: false } | { readonly verified: true; readonly limits: VoiceLimits }

/** The token's row is there before the voice service hears of it; nothing is spendable before it has said yes. */
export const tokenIssue = staged(issueToken, {
  byKey: true,
  async begin({ em, input, operation, now }, { keyring }) {
    const known = await em.findOne(Token, { operationId: operation.id })
    if (known !== null) return { tokenId: known.id }
    const id = newCredential()
    em.create(Token, {
      id,
      operationId: operation.id,
      status: 'requested',
      budget: input.budget,
      voiceId: keyring.seal(input.voice_id, voicePlace(id)),
      voiceDigest: keyring.digest(input.voice_id),
      requestedAt: now,
    })
    return { tokenId: id }
  },

  async call({ input }, { voice }): Promise<Answer> {
    if (!(await voice.verify(input.voice_id))) return { verified: false }
    return { verified: true, limits: await voice.limits(input.voice_id) }
  },

  async finish(work, { begun, answer }, { signedForm, vault }) {
    const { em, sql, input, operation, now } = work
    const token = await em.findOne(Token, { id: begun.tokenId })
    assert(token?.status === 'requested', `Token of operation ${operation.id} is ${token?.status} before its outcome`)

    const refusal = answer.verified
      ? await refusalOf(
          takeAllowance(sql, { voiceDigest: token.voiceDigest, budget: input.budget, limits: answer.limits, now }),
        )
      : tokenRefusals.voiceRejected()
    if (refusal !== undefined) {
      decline(token, now)
      return refusal
    }

    const books = await work.books([])
    const account = books.open({ owner: tokenOwner(token.id), purpose: 'token', asset: 'BUDGET' })
    books.post('token.issue', {
      debit: platformAccount('issuance', 'BUDGET'),
      credit: account,
      amount: input.budget,
      operationId: operation.id,
    })
    const expiresAt = activate(token, account.id, now)
    if (vault !== undefined) work.followUp({ kind: 'token.mirror', input: { token_id: token.id } })
    return {
      token_id: token.id,
      expire_in: TOKEN_LIFETIME_SECONDS,
      token: await signedForm.make({ id: token.id, expiresAt }),
    }
  },

  measured(_result, input, { measures, services }) {
    measures.tokenIssued(services.keyring.digest(input.voice_id).toString('hex'))
  },
})

/** The refusal that a promise ended in, as a value: what was written beside it is kept. */
async function refusalOf(decision: Promise<void>): Promise<Refusal | undefined> {
  try {
    await decision
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
