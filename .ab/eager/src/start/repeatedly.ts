/** Does something again and again, with a pause between, never twice at once. Errors are told and do not end it. */
export function repeatedly(pauseMs: number, work: () => Promise<void>, onError: (error: unknown) => void) {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let stopped = false
  const plan = () => {
    if (stopped) return
    timer = setTimeout(() => {
      running = work().catch(onError).finally(plan)
    }, pauseMs)
  }
  plan()
  return {
    async stop(): Promise<void> {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
