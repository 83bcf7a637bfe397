import { recordSecurity } from '../../domain/audit/record.ts'
import { recordSecurityEvent } from '../../jobs/audit.ts'
import { transact } from '../shapes/transact.ts'

export const securityRecord = transact(recordSecurityEvent, {
  async perform({ sql, input }) {
    await recordSecurity(
      { sql, now: new Date(input.at) },
      { type: input.event_type, indicators: input.indicators, ip: input.ip_address, action: input.action_taken },
    )
    return { recorded: true as const }
  },
})
