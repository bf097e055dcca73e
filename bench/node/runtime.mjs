// A client of Lambda's Runtime API. It handles one event at a time and keeps its connections open.

import http from 'node:http'

const agent = new http.Agent({ keepAlive: true })

export function request(url, method, headers = {}, body = '') {
  return new Promise((resolve, reject) => {
    const length = { 'content-length': Buffer.byteLength(body) }
    const sent = http.request(url, { agent, method, headers: { ...headers, ...length } }, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

// Runs the handler for each event. The handler returns the response's body as `answer`, and optionally `after`, a function to
// call after the response.
export async function serve(handler) {
  const url = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`
  for (;;) {
    const event = await request(`${url}/next`, 'GET')
    const { answer, after } = await handler(JSON.parse(event.body)).catch(failed)
    const id = event.headers['lambda-runtime-aws-request-id']
    await request(`${url}/${id}/response`, 'POST', { 'content-type': 'application/json' }, JSON.stringify(answer))
    await after?.()
  }
}

function failed(error) {
  console.error(error)
  return { answer: { statusCode: error.status ?? 500, body: JSON.stringify({ error: error.message }) } }
}
