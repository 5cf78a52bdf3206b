export { DeadLetters } from './dead-letters.js'
export { Outbox, type OutboxOptions } from './worker.js'
export { type OutboxRow, writeOutbox } from './write.js'
