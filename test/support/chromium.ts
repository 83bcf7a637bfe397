import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where a Chromium is; undefined where there is none, and then what needs one is skipped. */
export function chromiumPath(): string | undefined {
  const named = process.env.CHROMIUM_PATH
  for (const name of named === undefined ? ['chromium', 'chromium-browser', 'google-chrome'] : [named]) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim()
    } catch {
      // The next one.
    }
  }
  return undefined
}

// biome-ignore lint/suspicious/noExplicitAny: answers of the protocol have every shape, and an absent field fails the test
type Said = any

/** Milliseconds after which Chromium is taken for hung. */
const PATIENCE_MS = 30_000

/** A real browser without a window, spoken to by the DevTools protocol. */
export class Chromium {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  #last = 0
  readonly #waiting = new Map<number, { resolve: (said: Said) => void; reject: (error: Error) => void }>()
  readonly #listening = new Set<(said: Said) => void>()

  private constructor(process: ChildProcess, profile: string, socket: WebSocket) {
    this.#process = process
    this.#profile = profile
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => {
      const said = JSON.parse(String(data))
      const asked = this.#waiting.get(said.id)
      this.#waiting.delete(said.id)
      if (asked === undefined) for (const listener of this.#listening) listener(said)
      else if (said.error === undefined) asked.resolve(said.result)
      else asked.reject(new Error(`Chromium: ${said.error.message}`))
    })
  }

  static async start(path: string): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), 'bursar-chromium-'))
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--remote-debugging-port=0']
    const child = spawn(path, [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const url = await new Promise<string>((resolve, reject) => {
      let said = ''
      child.stderr?.setEncoding('utf8').on('data', (part: string) => {
        said += part
        const [, found] = /DevTools listening on (ws:\S+)/.exec(said) ?? []
        if (found !== undefined) resolve(found)
      })
      child.once('exit', () => reject(new Error(`Chromium did not start: ${said}`)))
      setTimeout(() => reject(new Error(`Chromium is silent: ${said}`)), PATIENCE_MS).unref()
    })
    const socket = new WebSocket(url)
    await once(socket, 'open')
    return new Chromium(child, profile, socket)
  }

  /** A tab as wide as a phone or a desk, with or without JavaScript. */
  async open(
    url: string,
    options: { width?: number; height?: number; script?: boolean; scheme?: string } = {},
  ): Promise<Tab> {
    const { targetId } = await this.say('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.say('Target.attachToTarget', { targetId, flatten: true })
    const tab = new Tab(this, sessionId, targetId)
    await tab.say('Page.enable')
    const { width = 1_200, height = 900 } = options
    await tab.say('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
    await tab.say('Emulation.setScriptExecutionDisabled', { value: options.script === false })
    const features = [{ name: 'prefers-color-scheme', value: options.scheme ?? 'light' }]
    await tab.say('Emulation.setEmulatedMedia', { features })
    await tab.go(url)
    return tab
  }

  say(method: string, params: object = {}, sessionId?: string): Promise<Said> {
    this.#last += 1
    const id = this.#last
    const answer = new Promise<Said>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
    return answer
  }

  /** Resolves with the next event of this name. */
  next(event: string, sessionId: string): Promise<Said> {
    return new Promise((resolve, reject) => {
      const give = setTimeout(() => {
        this.#listening.delete(listen)
        reject(new Error(`Chromium did not say ${event}`))
      }, PATIENCE_MS)
      const listen = (said: Said) => {
        if (said.method !== event || said.sessionId !== sessionId) return
        clearTimeout(give)
        this.#listening.delete(listen)
        resolve(said.params)
      }
      this.#listening.add(listen)
    })
  }

  async stop(): Promise<void> {
    this.#socket.close()
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

export class Tab {
  readonly #browser: Chromium
  readonly #session: string
  readonly #target: string

  constructor(browser: Chromium, session: string, target: string) {
    this.#browser = browser
    this.#session = session
    this.#target = target
  }

  say(method: string, params: object = {}): Promise<Said> {
    return this.#browser.say(method, params, this.#session)
  }

  async go(url: string): Promise<void> {
    const loaded = this.#browser.next('Page.loadEventFired', this.#session)
    const { errorText } = await this.say('Page.navigate', { url })
    if (errorText !== undefined) throw new Error(`Chromium could not open ${url}: ${errorText}`)
    await loaded
  }

  /** What an expression is on the page. The debugger may look, even where the page's own scripts may not run. */
  async look<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = await this.say('Runtime.evaluate', { expression, returnByValue: true })
    if (exceptionDetails !== undefined) throw new Error(`Chromium: ${JSON.stringify(exceptionDetails)}`)
    return result.value
  }

  text(): Promise<string> {
    return this.look('document.body.innerText')
  }

  /** Clicks on the first element that fits, as a hand would, and waits for the page that it leads to. */
  async click(selector: string): Promise<void> {
    const place = await this.look<{ x: number; y: number } | null>(
      `(() => { const e = document.querySelector(${JSON.stringify(selector)}); if (e === null) return null
        e.scrollIntoView({ block: 'center', behavior: 'instant' }); const r = e.getBoundingClientRect()
        return { x: r.x + r.width / 2, y: r.y + r.height / 2 } })()`,
    )
    if (place === null) throw new Error(`Nothing on the page is ${selector}`)
    const loaded = this.#browser.next('Page.loadEventFired', this.#session)
    for (const type of ['mousePressed', 'mouseReleased'])
      await this.say('Input.dispatchMouseEvent', { type, ...place, button: 'left', clickCount: 1 })
    await loaded
  }

  /** One key, and the page that it leads to where it does. */
  async press(key: 'Tab' | 'Enter', options: { leads?: boolean } = {}): Promise<void> {
    const loaded = options.leads === true ? this.#browser.next('Page.loadEventFired', this.#session) : undefined
    const code = key === 'Tab' ? 9 : 13
    const about = { key, code: key, windowsVirtualKeyCode: code, ...(key === 'Enter' ? { text: '\r' } : {}) }
    for (const type of ['keyDown', 'keyUp']) await this.say('Input.dispatchKeyEvent', { type, ...about })
    await loaded
  }

  /** The page as a screen reader gets it: role and name of everything that has one. */
  async spoken(): Promise<{ role: string; name: string }[]> {
    const { nodes } = await this.say('Accessibility.getFullAXTree')
    return nodes
      .filter((node: Said) => node.ignored !== true)
      .map((node: Said) => ({ role: node.role?.value ?? '', name: node.name?.value ?? '' }))
  }

  async picture(options: { fullPage?: boolean } = {}): Promise<Buffer> {
    const { data } = await this.say('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: options.fullPage === true,
    })
    return Buffer.from(data, 'base64')
  }

  async close(): Promise<void> {
    await this.#browser.say('Target.closeTarget', { targetId: this.#target })
  }
}
