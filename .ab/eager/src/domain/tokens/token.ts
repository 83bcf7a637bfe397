import { defineEntity, type InferEntity, p } from '@mikro-orm/core'
import { type LifeCycle, move } from '../../kit/states.ts'

export type TokenStatus = 'requested' | 'active' | 'declined' | 'expired' | 'revoked'

export const tokenCycle: LifeCycle<TokenStatus> = {
  requested: ['active', 'declined'],
  active: ['expired', 'revoked'],
  declined: [],
  expired: [],
  revoked: [],
}

/** Seconds from issue to expiry, as the contract promises. */
export const TOKEN_LIFETIME_SECONDS = 3_600

/** A budget that a verified voice may spend, for an hour. Its id is a credential. */
export const Token = defineEntity({
  name: 'Token',
  tableName: 'token',
  properties: {
    id: p.uuid().primary(),
    operationId: p.uuid().fieldName('operation_id'),
    accountId: p.uuid().fieldName('account_id').nullable(),
    status: p.string().$type<TokenStatus>(),
    budget: p.bigint(),
    /** Sealed: readable with the keyring only. */
    voiceId: p.text().fieldName('voice_id'),
    voiceDigest: p.blob().fieldName('voice_digest'),
    requestedAt: p.datetime().fieldName('requested_at'),
    issuedAt: p.datetime().fieldName('issued_at').nullable(),
    expiresAt: p.datetime().fieldName('expires_at').nullable(),
    closedAt: p.datetime().fieldName('closed_at').nullable(),
  },
})

export type Token = InferEntity<typeof Token>

/** A voice id opens only in its own token. */
export const voicePlace = (tokenId: string): string => `token:${tokenId}:voice_id`

/** The owner of a token's account. */
export const tokenOwner = (tokenId: string): string => `token:${tokenId}`

export function activate(token: Token, accountId: string, now: Date): Date {
  const expiresAt = new Date(now.getTime() + TOKEN_LIFETIME_SECONDS * 1_000)
  token.status = move(tokenCycle, token.status, 'active')
  token.accountId = accountId
  token.issuedAt = now
  token.expiresAt = expiresAt
  return expiresAt
}

export function decline(token: Token, now: Date): void {
  token.status = move(tokenCycle, token.status, 'declined')
  token.closedAt = now
}

/** An instant counts as too late: a token of 3600 seconds is good for 3599.999. */
export const isExpired = (token: { expiresAt: Date }, now: Date): boolean => token.expiresAt <= now
