import type { Hono } from 'hono'
import { read, Text } from './form.ts'
import { Paging, page } from './paging.ts'
import { noSuch } from './problem.ts'
import { answer, fieldsOf } from './respond.ts'
import type { World } from './world.ts'

/** `/v1/events`: what was sent as webhooks, to be read again. */
export function eventRoutes(app: Hono, world: World): void {
  app.get('/v1/events', async (c) => {
    const wanted = read(Paging.extend({ type: Text.optional() }), await fieldsOf(c))
    const rows = world.events.values().filter(({ type }) => type === (wanted.type ?? type))
    return c.json(page(rows, '/v1/events', wanted))
  })
  app.get('/v1/events/:id', (c) => {
    const event = world.events.get(c.req.param('id'))
    if (event === undefined) throw noSuch('event', c.req.param('id'))
    return answer(world, c, event)
  })
}
