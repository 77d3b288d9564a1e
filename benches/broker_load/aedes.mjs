// aedes behind one listener: node aedes.mjs PORT [tls CERTIFICATE KEY | websocket]
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Aedes } from 'aedes'
import { WebSocketServer, createWebSocketStream } from 'ws'

const [first, kind, certificate, key] = process.argv.slice(2)
if (first === '--version') {
  const about = new URL('node_modules/aedes/package.json', import.meta.url)
  console.log(`aedes ${JSON.parse(readFileSync(about)).version} on node ${process.versions.node}`)
  process.exit()
}

const aedes = await Aedes.createBroker()
let server
if (kind === 'tls') {
  const files = { cert: readFileSync(certificate), key: readFileSync(key) }
  server = createTlsServer(files, aedes.handle)
} else if (kind === 'websocket') {
  server = createHttpServer()
  new WebSocketServer({ server }).on('connection', (socket, request) => {
    aedes.handle(createWebSocketStream(socket), request)
  })
} else {
  server = createServer(aedes.handle)
}
server.listen(Number(first), '127.0.0.1')
