import { Hono } from 'hono'
import { z } from 'zod'
import { bodyOf, collection, NotesBody, noSuchId } from './errors.ts'
import { type CustomerRow, type TokenRow, tokenEntity } from './rows.ts'
import { newId, type World } from './world.ts'

const Customer = z.object({
  name: z.string().nullish(),
  email: z.string().nullish(),
  contact: z.coerce.string().nullish(),
  notes: NotesBody,
})

export function customerRoutes(world: World): Hono {
  const app = new Hono()
  app.post('/v1/customers', async (c) => {
    const { name, email, contact, notes } = await bodyOf(c, Customer)
    const customer = world.customers.put({
      id: newId('cust'),
      entity: 'customer',
      name: name ?? null,
      email: email ?? null,
      contact: contact ?? null,
      gstin: null,
      notes,
      created_at: world.now(),
    })
    return c.json(customer)
  })
  app.get('/v1/customers/:id', (c) => c.json(customerOf(world, c.req.param('id'))))
  app.get('/v1/customers/:id/tokens', (c) => {
    const { id } = customerOf(world, c.req.param('id'))
    const tokens = world.tokens.values().filter(({ customer_id }) => customer_id === id)
    return c.json(collection(tokens.map(tokenEntity)))
  })
  app.get('/v1/customers/:id/tokens/:token', (c) => {
    const token = tokenOf(world, c.req.param('token'))
    if (token.customer_id !== c.req.param('id')) throw noSuchId()
    return c.json(tokenEntity(token))
  })
  app.post('/v1/tokens/fetch', async (c) => {
    const { id } = await bodyOf(c, z.object({ id: z.string() }))
    return c.json(tokenEntity(tokenOf(world, id)))
  })
  return app
}

function customerOf(world: World, id: string): CustomerRow {
  const customer = world.customers.get(id)
  if (customer === undefined) throw noSuchId()
  return customer
}

function tokenOf(world: World, id: string): TokenRow {
  const token = world.tokens.get(id)
  if (token === undefined) throw noSuchId()
  return token
}
