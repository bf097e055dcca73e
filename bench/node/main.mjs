// Three of the routes in Node.js, with the same SQL statements and the same responses. `pg` sends each statement
// unnamed, because a transaction-mode pooler keeps no prepared statements.

import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { request, serve } from './runtime.mjs'

const { AWS_LAMBDA_FUNCTION_NAME, DATABASE_URL, SUPABASE_URL, SUPABASE_ANON_KEY, SUPABASE_SERVICE_ROLE_KEY } = process.env

// `pg` sends parameters without their types, so the statement casts them.
const TYPES = {
  'get-config': ['bytea'],
  'list-messages': ['bytea', 'uuid', 'timestamptz', 'bigint'],
  'send-message': ['bytea', 'uuid', 'uuid', 'text', 'text', 'text', 'text', 'text', 'uuid', 'text', 'uuid']
}
const types = TYPES[AWS_LAMBDA_FUNCTION_NAME]
const statement = readFileSync(new URL(`../statements/${AWS_LAMBDA_FUNCTION_NAME}.sql`, import.meta.url), 'utf8')
  .replace(/\$(\d+)/g, (parameter, number) => `${parameter}::${types[number - 1]}`)

const STATUSES = { invalid_api_key: 401, tenant_overage: 403, tenant_suspended: 403, conversation_not_found: 404 }

const database = new pg.Client({ connectionString: DATABASE_URL })
await database.connect()

class Refusal extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

async function query(event, ...values) {
  const key = event.headers['x-tinychat-api-key']
  if (!key) throw new Refusal(401, 'API key missing')
  const hash = createHash('sha256').update(key).digest()
  const { rows } = await database.query(statement, [hash, ...values])
  const { verdict } = rows[0]
  if (verdict !== 'ok') throw new Refusal(STATUSES[verdict] ?? 400, verdict)
  return rows
}

// Generates a UUIDv7, as the Rust functions do.
function newId() {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(Date.now(), 0, 6)
  bytes[6] = (bytes[6] & 0x0f) | 0x70
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  return bytes.toString('hex').replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5')
}

function message(row) {
  const { id, conversation_id, sender_id, body, message_type, media_url, reply_to, created_at, edited_at, deleted_at } = row
  return {
    id,
    conversation_id,
    sender_id,
    body: deleted_at ? null : body,
    message_type,
    media_url: deleted_at ? null : media_url,
    reply_to,
    created_at,
    updated_at: row.changed_at ?? created_at,
    edited_at,
    deleted_at
  }
}

function broadcast(topic, payload) {
  const headers = { apikey: SUPABASE_SERVICE_ROLE_KEY, 'content-type': 'application/json' }
  const body = JSON.stringify({ messages: [{ topic, event: 'message', payload, private: false }] })
  return request(`${SUPABASE_URL}/realtime/v1/api/broadcast`, 'POST', headers, body)
}

async function getConfig(event) {
  const [row] = await query(event)
  const tenant = { id: row.tenant_id, name: row.name }
  const realtime = { supabase_url: SUPABASE_URL, supabase_anon_key: SUPABASE_ANON_KEY, channel_prefix: 'conv:' }
  return { answer: { tenant, realtime } }
}

async function listMessages(event) {
  const parameters = new URLSearchParams(event.rawQueryString)
  const limit = Math.min(parameters.get('limit') ?? 50, 200)
  const rows = await query(event, event.pathParameters.id, parameters.get('before'), limit)
  return { answer: { messages: rows[0].id ? rows.map(message) : [] } }
}

async function sendMessage(event) {
  const body = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString() : event.body
  const input = { message_type: 'text', ...JSON.parse(body) }
  if (!input.sender_id) throw new Refusal(400, 'sender_id is required')
  if (input.message_type === 'text' && !input.body) throw new Refusal(400, 'body is required')
  const { sender_id, receiver_id, message_type, media_url, reply_to, client_message_id } = input
  const values = [sender_id, receiver_id, input.body, message_type, media_url, reply_to, client_message_id]
  const [row] = await query(event, event.pathParameters.id, newId(), ...values, newId())
  const answer = { message: { ...message(row), receiver_id: row.receiver_id } }
  return { answer, after: () => broadcast(`conv:${row.conversation_id}`, answer) }
}

const HANDLERS = { 'get-config': getConfig, 'list-messages': listMessages, 'send-message': sendMessage }

await serve(HANDLERS[AWS_LAMBDA_FUNCTION_NAME])
