import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { started } from './door.ts'

/** The bare route that everything is measured against: parses the JSON, answers with it, remembers nothing. */
const app = new Hono()
app.post('/echo', async (c) => c.json(await c.req.json()))
serve({ fetch: app.fetch, hostname: '127.0.0.1', port: Number(process.env.PORT) }, started)
