-- Move one task to another state if that is allowed, with its index entries and its event, in one atomic step.
-- KEYS[1]  the task's hash    KEYS[2]  its job key    KEYS[3]  the queue    KEYS[4]  the leases    KEYS[5]  the fetch queue
-- KEYS[6]  the queue of webhooks
-- ARGV     1 task id, 2 target state, 3 now (Unix ms), 4 time to live from now (ms),
--          5 the attempt that moves it, '' for any, 6 the states it may come from (blank on both sides of each),
--          7 the job that runs it, 8 wake-up channel, 9 how many events are kept, 10 when it is due if it becomes
--          PENDING (Unix ms), 11 steps done that nobody was told of (JSON, '' for none), 12 the job that delivers
--          MESSAGE_ID, 13 prefix of job keys, 14 wake-up channel of webhooks, 15 life of a message (ms), 16 how many of
--          its owner's may wait with it, '' for any number, 17... field, value pairs to set; the first pair of a move to
--          STARTED or to an end is the name and value of the move's own token
-- A task that becomes PENDING is queued, with `fetch` in the fetch queue; one that ends leaves both, and with a
-- `callback_url` a message of it is queued to be delivered.
-- Returns the whole hash after the move; {'WRONG', state, attempt} when it is not allowed; {'FULL', waiting, ended in the
-- last 10 s} when as many of its owner's wait as may; {} when there is no task.
local hash, id, target, now = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local status, attempt, callback, owner = unpack(redis.call('HMGET', hash, 'status', 'attempt', 'callback_url', 'owner'))
if not status then
  return {}
end
if target ~= 'PENDING' and redis.call('HGET', hash, 'token') == ARGV[18] then
  return redis.call('HGETALL', hash) -- the client repeats a command whose reply it lost
end
if not string.find(ARGV[6], ' ' .. status .. ' ', 1, true) or (ARGV[5] ~= '' and ARGV[5] ~= attempt) then
  return {'WRONG', status, attempt}
end
if ARGV[16] ~= '' and owner then
  local own = redis.call('ZCARD', 'tasks:PENDING:' .. owner)
  if own >= tonumber(ARGV[16]) then
    return {'FULL', own, ended_lately(now, ':' .. owner)}
  end
end
if target == 'STARTED' then
  attempt = redis.call('HINCRBY', hash, 'attempt', 1)
end
redis.call('HSET', hash, 'status', target, unpack(ARGV, 17))
enter(id, owner, status, target, attempt, now, ARGV[4], ARGV[9], ARGV[11])
if target == 'PENDING' then
  if status ~= 'PENDING' then
    redis.call('HSET', hash, 'queued_ms', now)
    redis.call('HDEL', hash, 'started_ms', 'ended_ms')
  end
  redis.call('ZREM', KEYS[4], id)
  redis.call('SET', KEYS[2], ARGV[7], 'PX', ARGV[4])
  redis.call('ZADD', redis.call('HGET', hash, 'fetch') == '1' and KEYS[5] or KEYS[3], ARGV[10], id)
  redis.call('PUBLISH', ARGV[8], '')
elseif target ~= 'STARTED' then
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[3], id)
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZREM', KEYS[5], id)
  if callback then
    -- A task that is tried again ends again, and each end has a message of its own.
    local ends = redis.call('HINCRBY', hash, 'ends', 1)
    local message = 'msg_' .. string.gsub(id, '-', '') .. '_' .. ends
    local error, outputs, spec = unpack(redis.call('HMGET', hash, 'error', 'outputs', 'spec'))
    -- Not by cjson: a spec that is no JSON must not keep its task from ending. In a text the quotes would be escaped.
    local request = string.match(spec or '', '"rid":"([^"]*)"')
    redis.call('HSET', hash, 'message_id', message)
    redis.call('HSET', 'webhook:' .. message, 'task_id', id, 'url', callback, 'status', target, 'ended_ms', now,
      'error', error or '', 'outputs', outputs or '{}', 'state', 'waiting', 'tries', 0, 'next_ms', now,
      'request_id', request or '')
    redis.call('PEXPIRE', 'webhook:' .. message, ARGV[15])
    redis.call('SET', ARGV[13] .. message, (string.gsub(ARGV[12], 'MESSAGE_ID', message)), 'PX', ARGV[15])
    redis.call('ZADD', KEYS[6], math.min(now, server_ms()), message) -- should this clock be ahead of the server's
    redis.call('PUBLISH', ARGV[14], '')
  end
end
return redis.call('HGETALL', hash)
