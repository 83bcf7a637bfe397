/**
 * Loaded into a process of Bursar before its own code: answers each message with what its heap holds after a full
 * collection. Nothing in `src` knows of it.
 */
export interface HeapAnswer {
  /** V8's heap and the buffers outside it, in bytes. */
  readonly heap: number
}

process.on('message', () => {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  process.send?.({ heap: heapUsed + external } satisfies HeapAnswer)
})

// It is the process's own affair when it ends.
process.channel?.unref()
