/** Lets so many work at once; the others wait for their turn, in the order in which they came, for as long as it takes. */
export function turns(most: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let free = most
  const waiting: (() => void)[] = []
  return async (work) => {
    if (free > 0) free -= 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      // A turn is handed on, so that nobody who comes now is before those who wait.
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}
