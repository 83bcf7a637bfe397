import pg from 'pg'
import { newId } from '../../src/kit/ids.ts'
import { closedLoop, type EngineOrder } from '../engine.ts'
import { asked } from '../processes.ts'
import { databaseUrl } from './door.ts'
import { deduct, intake } from './ledger.ts'

/** What a server with as many connections as this would have. */
const CONNECTIONS = 32

/** The same statements, one transaction each: intake row, balance check, transfer and outcome in a single commit. */
if (import.meta.main) {
  const order = asked<EngineOrder>()
  const pool = new pg.Pool({ connectionString: databaseUrl, max: CONNECTIONS })
  const report = await closedLoop(order, CONNECTIONS, async (tokenId) => {
    const id = newId()
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      await client.query(intake({ id, tokenId, amount: 1 }))
      await deduct(client, id)
      await client.query('COMMIT')
    } finally {
      client.release()
    }
  })
  await pool.end()
  process.stdout.write(JSON.stringify(report))
}
