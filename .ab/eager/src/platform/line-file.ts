import { type FileHandle, open } from 'node:fs/promises'
import { Fault } from '../kit/fault.ts'

/** Readable by its owner and group: it names users. */
const MODE = 0o640

const NEWLINE = Buffer.from('\n')

/** How far a file has been written for certain: its bytes then, and their last line. */
interface Written {
  readonly bytes: number
  readonly lastLine: string
}

/** A file that lines are appended to, each once, whatever stops the process in between. */
export const lineFile = (path: string) => ({
  path,
  async append(written: Written, text: string): Promise<number> {
    try {
      const file = await open(path, 'a+', MODE)
      try {
        return await appendRest(file, written, Buffer.from(text))
      } finally {
        await file.close()
      }
    } catch (error) {
      const { code } = error as { code?: string }
      throw new Fault(`${path} cannot be written${code === undefined ? '' : ` (${code})`}`, { cause: error })
    }
  },
})

/** What stands behind that was written by somebody who could not say so any more, or by a stranger: it stays. */
async function appendRest(file: FileHandle, written: Written, wanted: Buffer): Promise<number> {
  const { size } = await file.stat()
  // Another file than it was: that one has been rotated away, and this is its successor.
  const begin = (await isThere(file, written)) ? written.bytes : 0
  // From the end of the line before, so that it is seen where a line begins.
  const lookFrom = Math.max(begin, size - wanted.length - NEWLINE.length)
  const tail = await bytesOf(file, lookFrom, size)

  const there = overlap(tail, wanted, lookFrom === begin)
  const cut = there === 0 && tail.length > 0 && tail.at(-1) !== NEWLINE[0]
  const rest = Buffer.concat([...(cut ? [NEWLINE] : []), wanted.subarray(there)])
  if (rest.length > 0) await file.appendFile(rest)
  await file.datasync()
  return size + rest.length
}

async function isThere(file: FileHandle, { bytes, lastLine }: Written): Promise<boolean> {
  const line = Buffer.from(lastLine)
  return bytes >= line.length && (await bytesOf(file, bytes - line.length, bytes)).equals(line)
}

async function bytesOf(file: FileHandle, from: number, until: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(until - from), 0, until - from, from)
  return buffer.subarray(0, bytesRead)
}

/** How much of `wanted` the tail ends with, counted from a line's beginning. */
function overlap(tail: Buffer, wanted: Buffer, beginsLine: boolean): number {
  let start = beginsLine ? 0 : tail.indexOf(NEWLINE) + 1
  while (start < tail.length) {
    const end = tail.subarray(start)
    if (end.equals(wanted.subarray(0, end.length))) return end.length
    const next = tail.indexOf(NEWLINE, start)
    if (next === -1) return 0
    start = next + 1
  }
  return 0
}
