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
local status, attempt, callback, owner = unpack(redis.call('HMGET', hash, 'status', 'attempt', 'callback_url', 'owner'))

local function is_allowed()
  if args.attempt and tostring(args.attempt) ~= attempt then
    return false
  end
  for _, source in ipairs(args.sources) do
    if source == status then
      return true
    end
  end
  return false
end

-- Write the webhook message of this end and queue its delivery. A task that is retried has a message for each end.
local function queue_webhook()
  local message = 'msg_' .. string.gsub(id, '-', '') .. '_' .. redis.call('HINCRBY', hash, 'ends', 1)
  local error, outputs, spec = unpack(redis.call('HMGET', hash, 'error', 'outputs', 'spec'))
  -- Not cjson: a spec that is not valid JSON must not keep its task from ending. Quotes inside a text are escaped.
  local request = string.match(spec or '', '"rid":"([^"]*)"')
  redis.call('HSET', hash, 'message_id', message)
  redis.call('HSET', 'webhook:' .. message, 'task_id', id, 'url', callback, 'status', target, 'ended_ms', now,
    'error', error or '', 'outputs', outputs or '{}', 'state', 'waiting', 'tries', 0, 'next_ms', now,
    'request_id', request or '', 'owner', owner or '')
  redis.call('PEXPIRE', 'webhook:' .. message, args.message_ttl_ms)
  local webhook_job = string.gsub(args.webhook_job, 'MESSAGE_ID', message)
  redis.call('SET', args.job_prefix .. message, webhook_job, 'PX', args.message_ttl_ms)
  redis.call('ZADD', webhook_queue, now, message)
  redis.call('PUBLISH', args.webhook_channel, '')
end

if not status then
  return {}
end
if target ~= 'PENDING' and redis.call('HGET', hash, 'token') == args.token then
  return redis.call('HGETALL', hash) -- the client repeats a command whose reply was lost
end
if not is_allowed() then
  return {'WRONG', status, attempt}
end
if args.owner_limit and owner then
  local own = redis.call('ZCARD', 'tasks:PENDING:' .. owner)
  if own >= args.owner_limit then
    return {'FULL', own, count_recently_ended(now, ':' .. owner)}
  end
end
-- A first write that needs no memory: a full Redis then lets the rest of the script pass, and the task can end.
redis.call('PEXPIRE', hash, args.ttl_ms)
local turn = turn_of(id)
if status == 'PENDING' then
  leave_turn(id, turn)
  if target ~= 'PENDING' then
    redis.call('ZREM', 'turns:expiring', id)
  end
elseif target == 'SUCCESS' then
  learn_pace(turn, now - redis.call('HGET', hash, 'started_ms'))
end
if target == 'STARTED' then
  attempt = redis.call('HINCRBY', hash, 'attempt', 1)
end
if target ~= 'PENDING' then
  redis.call('HSET', hash, target == 'STARTED' and 'started_ms' or 'ended_ms', now)
end
redis.call('HSET', hash, 'status', target, unpack(args.fields))
if target == 'PENDING' then
  local due = (args.due or now) + args.delay_ms
  turn = turn_of(id) -- `fetch` may have changed
  enter_turn(id, turn, due, now)
  enter_state(id, owner, status, target, attempt, now, args.ttl_ms, position_detail(id, turn))
  if status ~= 'PENDING' then
    redis.call('HSET', hash, 'queued_ms', now)
    redis.call('HDEL', hash, 'started_ms', 'ended_ms')
  end
  redis.call('ZREM', leases, id)
  redis.call('SET', job, args.job, 'PX', args.ttl_ms)
  redis.call('ZADD', turn.line == 'fetch' and fetch_queue or queue, due, id)
  redis.call('PUBLISH', args.wake_channel, '')
else
  enter_state(id, owner, status, target, attempt, now, args.ttl_ms, args.steps and {'steps', args.steps})
end
if target ~= 'PENDING' and target ~= 'STARTED' then
  redis.call('DEL', job)
  for _, set in ipairs({queue, leases, fetch_queue}) do
    redis.call('ZREM', set, id)
  end
  if callback then
    queue_webhook()
  end
end
return redis.call('HGETALL', hash)
