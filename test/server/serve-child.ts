import { serve } from '../../src/main.js'

process.exitCode = await serve(process.argv.slice(2))
