import type { Keyring } from '../kit/keyring.ts'
import type { Kind } from './kind.ts'

type Side = 'input' | 'result'

/** A sealed value opens only in its own operation and field. */
export const sealedPlace = (operationId: string, side: Side, field: string): string =>
  `operation:${operationId}:${side}:${field}`

/** Seals the fields that a kind calls sensitive, before they are stored. */
export function sealFields(kind: Kind, side: Side, keyring: Keyring, operationId: string, body: unknown): unknown {
  const fields = kind.sensitive?.[side]
  if (fields === undefined) return body
  const sealed: Record<string, unknown> = { ...(body as Record<string, unknown>) }
  for (const field of fields) {
    const value = sealed[field]
    if (typeof value === 'string') sealed[field] = keyring.seal(value, sealedPlace(operationId, side, field))
  }
  return sealed
}

/** Opens them again, for the worker and for the caller. */
export function openFields(kind: Kind, side: Side, keyring: Keyring, operationId: string, body: unknown): unknown {
  const fields = kind.sensitive?.[side]
  if (fields === undefined || body === null) return body
  const opened: Record<string, unknown> = { ...(body as Record<string, unknown>) }
  for (const field of fields) {
    const value = opened[field]
    if (keyring.isSealed(value)) opened[field] = keyring.open(value, sealedPlace(operationId, side, field))
  }
  return opened
}
