import { parentPort } from 'node:worker_threads'
import { transfersOf } from '../compiler/image.js'
import { LoadCache, loadPolicies } from './load-policies.js'
import type { LoaderRequest } from './policy-loader.js'

// The thread of a PolicyLoader: takes files one by one and, when told that they are all there, answers with what they came to.

if (parentPort === null) throw new Error('this module is the body of a thread')
const port = parentPort
const cache = new LoadCache()
const texts = { policies: new Map<string, Uint8Array>(), attachments: new Map<string, Uint8Array>() }

port.on('message', (request: LoaderRequest) => {
  if (request.kind === 'file') {
    texts[request.of].set(request.path, request.bytes)
    return
  }
  const loaded = loadPolicies(texts, request.live, cache)
  texts.policies.clear()
  texts.attachments.clear()
  const images = loaded.kind === 'loaded' ? [...loaded.own.map(([, image]) => image), loaded.bare] : []
  port.postMessage(loaded, images.flatMap(transfersOf))
})
