import { manyAtOnce } from './suites/many-at-once.ts'
import { onBothBackends } from './support/deployment.ts'

onBothBackends('Many at once', manyAtOnce)
