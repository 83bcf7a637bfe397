import { OURSELVES } from '../jobs/followup.ts'
import type { Intake } from '../jobs/intake.ts'
import type { Clock } from '../kit/clock.ts'
import type { Log } from '../platform/log.ts'

/** A webhook that was turned away: `reason` is one word for what was wrong with it. */
export interface TurnedAway {
  readonly gateway: string
  readonly ip: string | null
  readonly reason: string
}

/** A flood of forgeries is one story: beyond so many in a minute the rest is left out. */
const MAX_PER_MINUTE = 120

/**
 * Tells the security log of webhooks that were turned away. Nobody waits for it: the caller gets their answer whether or not
 * there is room for an event. What cannot be taken in is a line in the log.
 */
export function forgeryReports({ intake, clock, log }: { intake: Intake; clock: Clock; log: Log }) {
  let minute = 0
  let told = 0
  return ({ gateway, ip, reason }: TurnedAway): void => {
    const now = clock.now()
    const current = Math.floor(now.getTime() / 60_000)
    if (current !== minute) {
      minute = current
      told = 0
    }
    told += 1
    if (told > MAX_PER_MINUTE) {
      if (told === MAX_PER_MINUTE + 1)
        log.warn(
          { gateway, address: ip },
          'A flood of forged webhooks: the rest of this minute is not recorded one by one',
        )
      return
    }
    intake
      .submit({
        kind: 'security.record',
        input: {
          event_type: reason === 'forged' ? 'webhook_forged' : 'webhook_refused',
          at: now.toISOString(),
          indicators: [reason, `gateway_${gateway}`],
          ip_address: ip,
          action_taken: 'rejected',
        },
        submittedBy: OURSELVES,
      })
      .catch((error: unknown) =>
        log.warn({ err: error, gateway, address: ip, reason }, 'A forged webhook could not be recorded'),
      )
  }
}
