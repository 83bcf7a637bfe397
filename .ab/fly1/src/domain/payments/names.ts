import { GATEWAYS, MONEY } from '../ledger/movements.ts'

/** The same words as at the gateways' port, which this folder does not know. */
export const gatewayNames = GATEWAYS
export type GatewayName = (typeof gatewayNames)[number]

export const paymentMethods = ['card', 'upi', 'netbanking', 'wallet', 'bank_transfer'] as const
export type PaymentMethod = (typeof paymentMethods)[number]

/** Currencies in which a wallet can be held. */
export const currencies = MONEY
export type Currency = (typeof currencies)[number]
