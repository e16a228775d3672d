-- Begin due tasks for one worker: those whose lease has lapsed, then the queue's, the oldest first.
-- KEYS[1]  the queue: ids scored with the time from which each is due (Unix ms)
-- KEYS[2]  the leases: ids of running tasks scored with the time at which each is free for others (Unix ms)
-- ARGV     1 now (Unix ms), 2 how many, 3 end of the leases (Unix ms), 4 life of an unfinished task (ms), 5 the call's
--          token, 6 how many events are kept, 7 prefix of arq's locks, 8 prefix of job keys,
--          9... ids of the tasks that this worker runs
-- Returns id, hash, id, hash, ... of the tasks begun, each hash as field, value, field, value, ...
local now, count, lapse, ttl, token, events_kept = unpack(ARGV, 1, 6)
local begun = {}

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], lapse, lapse)) do
  if redis.call('HGET', 'task:' .. id, 'token') == token then
    table.insert(begun, id)
    table.insert(begun, redis.call('HGETALL', 'task:' .. id))
  end
end
if #begun > 0 then
  return begun -- the client repeats a command whose reply it lost
end

local function begin(id)
  local hash = 'task:' .. id
  local status = redis.call('HGET', hash, 'status')
  redis.call('ZREM', KEYS[1], id)
  if status ~= 'PENDING' and status ~= 'STARTED' then
    redis.call('ZREM', KEYS[2], id)
    redis.call('DEL', ARGV[8] .. id)
    return
  end
  local attempt = redis.call('HINCRBY', hash, 'attempt', 1)
  redis.call('HSET', hash, 'status', 'STARTED', 'token', token, 'started_ms', now)
  enter(id, status, 'STARTED', attempt, now, ttl, events_kept)
  redis.call('ZADD', KEYS[2], lapse, id)
  table.insert(begun, id)
  table.insert(begun, redis.call('HGETALL', hash))
end

local mine = {}
for i = 9, #ARGV do
  mine[ARGV[i]] = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, count + #ARGV)) do
  if mine[id] then
    redis.call('ZADD', KEYS[2], lapse, id) -- its worker, or Redis, was frozen
  elseif #begun < 2 * count then
    begin(id)
  end
end

-- Not ours to begin: cron jobs of arq's own loop, and what such a loop runs, which stays in the queue meanwhile.
local function is_left(id)
  return mine[id] or redis.call('EXISTS', 'task:' .. id) == 0 or redis.call('EXISTS', ARGV[7] .. id) == 1
    or redis.call('ZSCORE', KEYS[2], id)
end

local left, batch = 0, 2 * count
while #begun < 2 * count do
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', left, batch)
  for _, id in ipairs(due) do
    if #begun == 2 * count then
      return begun
    end
    if is_left(id) then
      left = left + 1
    else
      begin(id)
    end
  end
  if #due < batch then
    break
  end
end
return begun
