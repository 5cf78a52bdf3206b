import type { Caller } from '../../model/identity.js'

/** Who does something, for records: with no key there is only what they say of themselves. */
export const actorOf = ({ id, keyId }: Caller): string => id || (keyId === '' ? 'development' : keyId)
