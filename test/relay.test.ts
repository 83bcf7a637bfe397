import { theRelay } from './suites/relay.ts'
import { onBothBackends } from './support/deployment.ts'

onBothBackends('The relay', theRelay)
