// tsc copies no data files; what the program reads at run time (the proto contract, the migrations) goes beside the code here.
import { chmodSync, cpSync } from 'node:fs'

cpSync('proto', 'dist/proto', { recursive: true })
cpSync('src/store/migrations', 'dist/src/store/migrations', { recursive: true })
chmodSync('dist/src/cli/main.js', 0o755)
