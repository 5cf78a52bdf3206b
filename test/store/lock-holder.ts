// Locks a data folder, says so, and waits to be killed.
import { lockDataFolder } from '../../src/store/data-folder.js'

const [folder = ''] = process.argv.slice(2)
const answer = await lockDataFolder(folder).then(
  () => 'locked',
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
)
process.send?.(answer)
// The lock itself keeps no process alive; the channel to the test does.
process.on('disconnect', () => process.exit(0))
