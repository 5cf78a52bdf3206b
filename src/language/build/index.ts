/**
 * What the grammar's postprocessors call: tokens and nodes in, one new node out. All of it is pure, because an Earley
 * parser completes every prefix of a text and would see what a longer parse wrote into a shared node.
 */
export * from './approval.js'
export * from './chain.js'
export * from './effect.js'
export * from './expression.js'
export * from './fault.js'
export * from './header.js'
export * from './rule.js'
export * from './scope.js'
export * from './test.js'
export * from './words.js'
