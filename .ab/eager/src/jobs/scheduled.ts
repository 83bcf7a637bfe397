import { z } from '@hono/zod-openapi'

/** What every scheduled kind is given: the period that it stands for, an instant in UTC. */
export const scheduledInput = z.object({ period: z.iso.datetime() })
