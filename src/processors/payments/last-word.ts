import type { ChargeState, Gateway } from '../../gateways/port.ts'

/**
 * What is left of a charge that was declined while its customer was at it. On some gateways' pages they can go on trying with
 * another card: before we give it up it is called off there, and if they have paid meanwhile, they have paid.
 */
export async function lastWord(gateway: Gateway, reference: string, state: ChargeState): Promise<ChargeState> {
  if (state.outcome !== 'declined' || state.id === undefined) return state
  const after = await gateway.cancel({ reference, chargeId: state.id, failed: true })
  // That it is off now says less than why it failed.
  return after.outcome === 'declined' || after.outcome === 'absent' ? state : after
}
