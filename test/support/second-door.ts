import { Writable } from 'node:stream'
import { readConfig } from '../../src/platform/config.ts'
import { makeLog } from '../../src/platform/log.ts'
import { openDoor } from '../../src/start/door.ts'
import { layFoundation } from '../../src/start/foundation.ts'
import type { Deployment } from './deployment.ts'

export interface SecondDoor {
  readonly url: string
  stop(): Promise<void>
}

/** Another API beside a deployment's own, on the same database and queue, configured as told. */
export async function secondDoor(bursar: Deployment, env: Readonly<Record<string, string>> = {}): Promise<SecondDoor> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const log = makeLog({ level: 'warn', destination: silent })
  const foundation = await layFoundation(readConfig({ ...bursar.env, ...env }), { log, clock: bursar.clock })
  const door = await openDoor(foundation)
  return {
    url: door.url,
    async stop() {
      await door.stop()
      await foundation.close()
    },
  }
}
