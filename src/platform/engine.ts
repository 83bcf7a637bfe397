import { enableCompileCache } from 'node:module'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'

/**
 * Imported first by main.ts: how Node is to run us.
 *
 * V8 notices which objects often outlive a collection of the young generation, and creates their like in the old one from
 * then on. A request waits for its commit, so parts of every request are taken for such. They are dead a moment later, but
 * nobody notices until the old generation's next collection, and meanwhile they keep all else of their request: the young
 * generation's collections copied 11 MB each time, not 2, and stopped the API for 50 ms twice a second
 * (docs/decisions/0007).
 */
setFlagsFromString('--no-allocation-site-pretenuring')

/**
 * The few megabytes that outlive such a collection are copied by our own thread: on two cores the helpers took twice its time
 * for them, and it waited as long.
 */
setFlagsFromString('--no-parallel-scavenge')

/**
 * What has been compiled once is loaded by the next process, in about two thirds of the time. Beside the packages, which
 * nobody can write to who could not change them either; where we cannot, all is compiled as ever.
 */
enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/bursar', import.meta.url)))
