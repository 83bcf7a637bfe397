import type { WriteStream } from 'node:tty'

/** Milliseconds between two lines of a log that nobody watches. */
const LOGGED_EVERY_MS = 5_000

export interface Progress {
  readonly tell: (line: string) => void
  /** Leaves the line as it is. */
  readonly end: () => void
}

/** One line that is written over on a terminal; elsewhere a new one every few seconds. */
export function progressLine(out: Pick<WriteStream, 'write' | 'isTTY' | 'columns'>): Progress {
  if (out.isTTY) {
    return {
      tell: (line) => void out.write(`\r\x1b[2K${line.slice(0, Math.max(20, (out.columns || 80) - 1))}`),
      end: () => void out.write('\n'),
    }
  }
  let last = Number.NEGATIVE_INFINITY
  return {
    tell(line) {
      if (performance.now() - last < LOGGED_EVERY_MS) return
      last = performance.now()
      out.write(`${line}\n`)
    },
    end: () => {},
  }
}
