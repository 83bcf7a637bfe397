import { open } from 'node:fs/promises'
import { Fault } from '../kit/fault.ts'

/** Readable by its owner and group: it names users. */
const MODE = 0o640

/** A file that lines are appended to, each once, whatever stops the process in between. */
export const lineFile = (path: string) => ({
  path,
  async append(from: number, text: string): Promise<number> {
    try {
      return await appendRest(path, from, Buffer.from(text))
    } catch (error) {
      const { code } = error as { code?: string }
      throw new Fault(`${path} cannot be written${code === undefined ? '' : ` (${code})`}`, { cause: error })
    }
  },
})

async function appendRest(path: string, from: number, wanted: Buffer): Promise<number> {
  const file = await open(path, 'a+', MODE)
  try {
    const { size } = await file.stat()
    // Shorter than it was: it has been rotated away, and this is its successor. Everything goes to the end.
    const beyond = size > from ? Math.min(size - from, wanted.length) : 0
    const there = Buffer.alloc(beyond)
    if (beyond > 0) await file.read(there, 0, beyond, from)
    // What stands there and is not ours was written by somebody else: it stays, and ours follows it.
    const ours = there.equals(wanted.subarray(0, beyond))
    const rest = ours ? wanted.subarray(beyond) : wanted
    if (rest.length > 0) await file.appendFile(rest)
    await file.datasync()
    return rest.length === 0 ? from + beyond : size + rest.length
  } finally {
    await file.close()
  }
}
