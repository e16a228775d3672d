-- Move a task to another state if the transition is allowed, with its index entries and its event.
-- KEYS  1 task hash, 2 job, 3 queue, 4 leases, 5 fetch queue, 6 webhook queue
-- args  id, target (state), sources (allowed present states), attempt (the only one that may do this, or nil),
--       owner_limit (of waiting tasks, or nil), token (identifies this transition to STARTED or to an end),
--       fields (array of field, value, ... to set), steps (JSON of completed steps, or nil), due (Unix ms, or nil for
--       now), delay_ms (added to that), ttl_ms, job, wake_channel, events_kept, webhook_job (with MESSAGE_ID for the id), job_prefix, webhook_channel,
--       message_ttl_ms
-- A task that becomes PENDING is queued, in the fetch queue if its field `fetch` is 1. A task that ends leaves the
-- queues; if it has a `callback_url`, a webhook message is written and queued.
-- Returns the whole hash after the transition; {'WRONG', state, attempt} when it is not allowed; {'FULL', waiting,
-- recently ended} when the owner has reached its limit; {} when there is no such task.
local hash, job, queue, leases, fetch_queue, webhook_queue = unpack(KEYS)
local id, target, now = args.id, args.target, server_ms()
local task, token, callback_url, started_ms = task_of(id, 'token', 'callback_url', 'started_ms')
local status, owner = task.status, task.owner

local PACE_STEP = 0.1 -- how much the last task counts
local MOST_PACES = 10000 -- more are forgotten: clients name queue groups as they like

-- Count the time that the task took for the pace of its flow and of all.
local function learn_pace(took_ms)
  local ratio, paces = took_ms / (task.cost or 1), redis.call('HMGET', 'turns:pace', task.flow, '*')
  for i, pace in ipairs(paces) do
    pace = pace and pace + PACE_STEP * (ratio - pace) or ratio
    paces[i] = string.format('%.6f', math.max(pace, 0.001))
  end
  if redis.call('HSET', 'turns:pace', task.flow, paces[1], '*', paces[2]) > 0
    and redis.call('HLEN', 'turns:pace') > MOST_PACES then
    redis.call('DEL', 'turns:pace')
  end
end

local function is_allowed()
  if args.attempt and tostring(args.attempt) ~= task.attempt then
    return false
  end
  for _, source in ipairs(args.sources) do
    if source == status then
      return true
    end
  end
  return false
end

-- Queue the delivery of a webhook message with these fields (field, value, ...).
local function queue_webhook(message, fields)
  redis.call('HSET', 'webhook:' .. message, 'ended_ms', now, 'state', 'waiting', 'tries', 0, 'next_ms', now,
    'owner', owner or '', unpack(fields))
  redis.call('PEXPIRE', 'webhook:' .. message, args.message_ttl_ms)
  local webhook_job = string.gsub(args.webhook_job, 'MESSAGE_ID', message)
  redis.call('SET', args.job_prefix .. message, webhook_job, 'PX', args.message_ttl_ms)
  redis.call('ZADD', webhook_queue, now, message)
  redis.call('PUBLISH', args.webhook_channel, '')
end

-- Write the webhook message of this end. A task that is retried has a message for each end.
local function send_end()
  local message = 'msg_' .. string.gsub(id, '-', '') .. '_' .. redis.call('HINCRBY', hash, 'ends', 1)
  local error, outputs, spec = unpack(redis.call('HMGET', hash, 'error', 'outputs', 'spec'))
  -- Not cjson: a spec that is not valid JSON must not keep its task from ending. Quotes inside a text are escaped.
  local request = string.match(spec or '', '"rid":"([^"]*)"')
  redis.call('HSET', hash, 'message_id', message)
  queue_webhook(message, {'task_id', id, 'tags', task.tags or '', 'url', callback_url, 'status', target, 'error', error or '',
    'outputs', outputs or '{}', 'request_id', request or ''})
end

-- Record the end of the task's batch, with its webhook message.
local function end_batch()
  local batch = 'batch:' .. task.batch
  local url, request, succeeded, failed, revoked = unpack(redis.call('HMGET', batch, 'callback_url', 'request_id',
    'SUCCESS', 'FAILURE', 'REVOKED'))
  redis.call('HSET', batch, 'ended_ms', now)
  if url then
    local message = 'msg_' .. string.gsub(task.batch, '-', '') .. '_' .. redis.call('HINCRBY', batch, 'ends', 1)
    queue_webhook(message, {'task_id', task.batch, 'url', url, 'status', target, 'request_id', request or '',
      'counts', string.format('{"SUCCESS":%d,"FAILURE":%d,"REVOKED":%d}', succeeded or 0, failed or 0, revoked or 0)})
  end
end

if not status then
  return {}
end
if target ~= 'PENDING' and token == args.token then
  return redis.call('HGETALL', hash) -- the client repeats a command whose reply was lost
end
if not is_allowed() then
  return {'WRONG', status, task.attempt}
end
if args.owner_limit and owner then
  local own = redis.call('ZCARD', 'tasks:PENDING:' .. owner)
  if own >= args.owner_limit then
    return {'FULL', own, count_recently_ended(now, ':' .. owner)}
  end
end
-- A first write that needs no memory: a full Redis then lets the rest of the script pass, and the task can end.
redis.call('PEXPIRE', hash, args.ttl_ms)
local fields = args.fields
local function set(field, value)
  table.insert(fields, field)
  table.insert(fields, value)
end
if status == 'PENDING' then
  leave_turn(task)
  if target ~= 'PENDING' and task.expires_ms then
    redis.call('ZREM', 'turns:timers', 'expire:' .. id)
  end
elseif target == 'SUCCESS' then
  learn_pace(now - (started_ms or now))
end
if target == 'PENDING' then
  for i = 1, #fields, 2 do
    if fields[i] == 'fetch' then
      task.fetch = fields[i + 1] == '1'
    end
  end
  if status ~= 'PENDING' then
    set('queued_ms', now)
    redis.call('HDEL', hash, 'started_ms', 'ended_ms')
  end
  if task.batch then
    redis.call('HDEL', 'batch:' .. task.batch, 'ended_ms')
  end
  local due = (args.due or now) + args.delay_ms
  enter_turn(set_turn(task), due, now)
  enter_state(task, target, now, args.ttl_ms, fields, position_detail(task))
  redis.call('ZREM', leases, id)
  redis.call('SET', job, args.job, 'PX', args.ttl_ms)
  redis.call('ZADD', task.fetch and fetch_queue or queue, due, id)
  redis.call('PUBLISH', args.wake_channel, '')
  return redis.call('HGETALL', hash)
end
if target == 'STARTED' then
  task.attempt = (tonumber(task.attempt) or 0) + 1
end
set(target == 'STARTED' and 'started_ms' or 'ended_ms', now)
local ends_batch = enter_state(task, target, now, args.ttl_ms, fields, args.steps and {'steps', args.steps})
if target ~= 'STARTED' then
  redis.call('DEL', job)
  for _, key in ipairs({queue, leases, fetch_queue}) do
    redis.call('ZREM', key, id)
  end
  if callback_url then
    send_end()
  end
  if ends_batch then
    end_batch()
  end
end
return redis.call('HGETALL', hash)
