// Starts the built server at a free port, prints the page that it renders, and stops it.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'

const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address()
    probe.close(() => resolve(port))
  })
})
const server = spawn(process.execPath, ['.output/server/index.mjs'], {
  env: { ...process.env, HOST: '127.0.0.1', PORT: String(port) },
  stdio: ['ignore', 'inherit', 'inherit'],
})
try {
  console.log(await page(`http://127.0.0.1:${port}/`))
} finally {
  server.kill()
}

async function page(url) {
  for (let tries = 0; tries < 100; tries++) {
    try {
      const answer = await fetch(url)
      if (!answer.ok) throw new Error(`${url} answered with ${answer.status}: ${await answer.text()}`)
      return await answer.text()
    } catch (error) {
      if (!(error instanceof TypeError) || server.exitCode !== null) throw error
      await new Promise((resolve) => setTimeout(resolve, 100)) // not listening yet
    }
  }
  throw new Error(`the server did not answer at ${url}`)
}
