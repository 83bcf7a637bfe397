import { refusals } from '../kit/refusal.ts'

export const scheduleRefusals = refusals('schedules', {
  notFound: {
    status: 404,
    error: 'ScheduleNotFound',
    says: () => 'There is no such schedule. GET /api/v1/schedules lists them.',
  },
})
