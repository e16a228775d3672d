-- Record a task as PENDING and queue it, both or neither, unless the queue is full.
-- KEYS[1]  the task's hash    KEYS[2]  its job key    KEYS[3]  the queue    KEYS[4]  the leases    KEYS[5]  the fetch queue
-- KEYS[6]  the key whose one task this is, if it has one
-- ARGV     1 task id, 2 now (Unix ms), 3 life of an unfinished task (ms), 4 spec (JSON), 5 job, 6 wake-up channel,
--          7 how many may wait, 8 how many events are kept, 9 the claim to KEYS[6], 10 what is kept there from now on,
--          11 for how long (ms), 12 whether the upload is yet to be fetched (0 or 1), 13 where a webhook is sent at its
--          end, '' for none, 14 its owner, '' for nobody, 15 how many of the owner's may wait, 16... indices by which the
--          task is found beside those of its state
-- Returns {waiting}, {waiting, ended in the last 10 s} when the queue is full, the same of the owner's and 1 when it is
-- the owner that has as many in it as may wait, or {nil} when another has KEYS[6].
local id, now, ttl, queue = ARGV[1], ARGV[2], ARGV[3], KEYS[3]
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {0} -- the client repeats a command whose reply it lost
end
local waiting = redis.call('ZCARD', 'tasks:PENDING')
if waiting >= tonumber(ARGV[7]) then
  return {waiting, ended_lately(now, '')}
end
local owner = ARGV[14] ~= '' and ARGV[14]
if owner then
  local own = redis.call('ZCARD', 'tasks:PENDING:' .. owner)
  if own >= tonumber(ARGV[15]) then
    return {own, ended_lately(now, ':' .. owner), 1}
  end
end
if KEYS[6] then
  local held = redis.call('GET', KEYS[6])
  if held and held ~= ARGV[9] then -- this claim has lapsed, and there is another one or a task
    return {false}
  end
  redis.call('SET', KEYS[6], ARGV[10], 'PX', ARGV[11])
end
redis.call('HSET', KEYS[1], 'status', 'PENDING', 'attempt', 0, 'created_ms', now, 'queued_ms', now, 'spec', ARGV[4])
if ARGV[12] == '1' then
  redis.call('HSET', KEYS[1], 'fetch', 1)
  queue = KEYS[5]
end
if ARGV[13] ~= '' then
  redis.call('HSET', KEYS[1], 'callback_url', ARGV[13])
end
if owner then
  redis.call('HSET', KEYS[1], 'owner', owner)
  redis.call('SADD', 'tasks:owners', owner)
end
for i = 16, #ARGV do
  redis.call('ZADD', ARGV[i], now, id)
end
enter(id, owner, '', 'PENDING', 0, now, ttl, ARGV[8])
redis.call('ZREM', 'uploads', id)
redis.call('SET', KEYS[2], ARGV[5], 'PX', ttl)
local due = math.min(now, server_ms()) -- should this clock be ahead of the server's
local was_due = redis.call('ZCOUNT', queue, '-inf', due)
redis.call('ZADD', queue, due, id)
if waiting == 0 or was_due == 0 then
  -- Else every worker is busy, and looks here when it no longer is, or has been woken and is on its way.
  redis.call('PUBLISH', ARGV[6], '')
end
return {waiting}
