// Makes a fresh clone runnable: installs the packages when they are missing or out of date. Runs before `npm start` and
// `npm test`, with any Node from 18 on and nothing installed, so it uses Node's own modules only.
import { spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = realpathSync(dirname(dirname(fileURLToPath(import.meta.url))))
const packages = join(root, 'node_modules')
const node = join(packages, '.bin', 'node')
const data = join(root, '.data')
const lock = join(data, 'setup.lock')

/** How often a waiting run looks whether the other one is done. */
const LOOK_MS = 200

const say = (line) => process.stdout.write(`${line}\n`)

if (existsSync(lock) || reasonToInstall() !== undefined) await installOnce()

async function installOnce() {
  const release = await claimLock()
  if (release === undefined) return
  try {
    // Asked again under the lock: whoever we waited for may have done it.
    const reason = reasonToInstall()
    if (reason !== undefined) install(reason)
  } finally {
    release()
  }
}

function reasonToInstall() {
  if (!existsSync(packages)) return 'node_modules is missing'
  const installed = changedAt(join(packages, '.package-lock.json'))
  if (installed === undefined) return 'the last installation was interrupted'
  if (installed < (changedAt(join(root, 'package-lock.json')) ?? 0)) return 'package-lock.json has changed'
  return nodeRuns() ? undefined : 'its Node does not run'
}

function changedAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs
}

function nodeRuns() {
  try {
    accessSync(node, constants.X_OK)
    // If it is what runs this script, it runs.
    return realpathSync(node) === realpathSync(process.execPath) || spawnSync(node, ['--version']).status === 0
  } catch {
    return false
  }
}

function install(reason) {
  say(`Installing packages, once: ${reason} (npm ci, about a minute)`)
  // Errors only: a Node older than some package would like is fine here, as everything runs on the Node that is installed.
  // Development packages too, whatever NODE_ENV says: `npm test` needs them.
  const flags = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--include=dev']
  const { status, error } = spawnSync('npm', flags, { cwd: root, stdio: 'inherit', env: environment() })
  if (error !== undefined)
    return fail(`npm could not be started (${error.message}): install Node 20 or later together with npm`)
  if (status !== 0)
    return fail(
      'npm ci failed, for the reason above. Check the network and the free disk space, then run the same command again',
    )
  const left = reasonToInstall()
  if (left !== undefined)
    fail(
      `npm ci finished, but ${left}. If npm is told to skip install scripts, ` +
        'run «npm ci --ignore-scripts=false»; if there is no Node 24 for this machine, Bursar cannot run on it',
    )
}

/** Without our own Node in front: npm ci removes the very file that it would be running on. */
function environment() {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => resolve(folder) !== join(packages, '.bin'))
  return { ...process.env, PATH: path.join(delimiter) }
}

function fail(sentence) {
  process.stderr.write(`${sentence}.\n`)
  process.exitCode = 1
}

// The lock is a folder with one file, named after its owner. Renaming a prepared folder into place takes a free lock,
// renaming the owner's file takes over a dead one's: each succeeds for one process only.
async function claimLock() {
  const me = nameOf(process.pid)
  const draft = prepareLock(me)
  if (draft === undefined) return undefined
  try {
    await takeLock(draft, me)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
  return () => {
    rmSync(join(lock, me), { force: true })
    try {
      rmdirSync(lock)
    } catch {
      // The next one has it already.
    }
  }
}

function prepareLock(me) {
  try {
    mkdirSync(data, { recursive: true, mode: process.getuid?.() === 0 ? 0o755 : 0o700 })
    const draft = mkdtempSync(`${lock}-`)
    writeFileSync(join(draft, me), '')
    return draft
  } catch (error) {
    fail(`Packages cannot be installed in ${root} (${error.message}): run this as the OS user who owns it`)
    return undefined
  }
}

async function takeLock(draft, me) {
  let told = false
  while (!moved(draft, lock)) {
    const owner = ownerOfLock()
    const pid = Number.parseInt(owner ?? '', 10)
    const lives = owner !== undefined && nameOf(pid) === owner
    if (owner !== undefined && !lives && moved(join(lock, owner), join(lock, me))) return
    if (lives && !told) {
      say(`Waiting for the installation that process ${pid} is doing`)
      told = true
    }
    await pause(LOOK_MS)
  }
}

/** The pid with the time at which it started, where the system tells, so that a pid in its second life is not mistaken. */
function nameOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : `${pid}-${fields[18]}`
  } catch {
    return existsSync('/proc/self/stat') || !isAlive(pid) ? undefined : `${pid}-`
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function moved(from, to) {
  try {
    renameSync(from, to)
    return true
  } catch {
    return false
  }
}

function ownerOfLock() {
  try {
    return readdirSync(lock)[0]
  } catch {
    return undefined
  }
}
