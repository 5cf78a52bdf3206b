import type { AddressInfo, Server } from 'node:net'

/**
 * @param port 0 lets the system choose
 * @param flag the setting that an error tells one to change
 * @returns the port
 * @throws an error that a person can act on when the address is taken or not this machine's
 */
export function listen(listener: Server, host: string, port: number, flag = '--listen'): Promise<number> {
  return new Promise((resolve, reject) => {
    // Kept on: a connection that cannot be accepted must not end the process.
    listener.on('error', (error) => reject(listenError(host, port, flag, error)))
    listener.listen(port, host, () => resolve((listener.address() as AddressInfo).port))
  })
}

/** `host:port`, as one types it. */
export function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there',
  EADDRNOTAVAIL: "it is none of this machine's addresses",
  EACCES: 'this user may not listen there',
  ENOTFOUND: 'the name does not resolve',
}

function listenError(host: string, port: number, flag: string, cause: NodeJS.ErrnoException): Error {
  const why = LISTEN_PROBLEMS[cause.code ?? ''] ?? cause.message
  return new Error(`cannot listen on \`${addressOf(host, port)}\`: ${why}; choose another address with ${flag}`, {
    cause,
  })
}
