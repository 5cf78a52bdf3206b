// Adds what `npm install` leaves out of package-lock.json when the registry at hand does not serve the packages of
// other platforms: without the entries `npm ci` refuses the lock file everywhere. Run it after every `npm install`.
import { readFileSync, writeFileSync } from 'node:fs'

const FILE = 'package-lock.json'
const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const packages = lock.packages

for (const [parent, entry] of Object.entries({ ...packages })) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    if (parent === '' || packages[`node_modules/${name}`]) continue
    const words = name.split(/[/-]/)
    const os = ['android', 'darwin', 'linux', 'win32'].find((word) => words.includes(word))
    const cpu = ['arm64', 'x64'].find((word) => words.includes(word))
    if (!os || !cpu) throw new Error(`complete-lockfile: cannot tell the platform of ${name}; add it by hand`)
    const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : undefined
    packages[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(entry.dev ? { dev: true } : {}),
      ...(libc ? { libc } : {}),
      optional: true,
      os: [os],
    }
  }
}
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)
