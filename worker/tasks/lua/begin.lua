-- Begin due tasks for one worker: those whose lease has lapsed, then the queues', the oldest first.
-- KEYS[1]  the queue: ids scored with the time from which each is due (Unix ms)
-- KEYS[2]  the leases: ids of running tasks scored with the time at which each is free for others (Unix ms)
-- KEYS[3]  what this very call has begun, should the client repeat it because the reply was lost
-- KEYS[4]  the fetch queue: the same for tasks whose uploads are yet to be fetched
-- KEYS[5]  is there while the queue is paused: then nothing is begun
-- ARGV     1 how many, 2 length of a lease (ms), 3 life of an unfinished task (ms), 4 the call's token, 5 how many events
--          are kept, 6 prefix of arq's locks, 7 prefix of job keys, 8 the worker's name, 9 how many of the fetch queue,
--          10... ids of the tasks that it runs
-- Returns id, hash, id, hash, ... of the tasks begun, each hash as field, value, field, value, ...
-- Leases go by the server's clock: the workers' may differ, and a call may have waited long for a frozen server.
local count, lease, ttl, token, events_kept = unpack(ARGV, 1, 5)
local now = server_ms()
local lapse = now + lease
local begun = {}
local is_paused = redis.call('EXISTS', KEYS[5]) == 1

local repeated = redis.call('LRANGE', KEYS[3], 0, -1)
for _, id in ipairs(repeated) do
  table.insert(begun, id)
  table.insert(begun, redis.call('HGETALL', 'task:' .. id))
end
if #repeated > 0 then
  return begun
end

local function begin(id, queue)
  local hash = 'task:' .. id
  local status, owner = unpack(redis.call('HMGET', hash, 'status', 'owner'))
  redis.call('ZREM', queue, id)
  if status ~= 'PENDING' and status ~= 'STARTED' then
    redis.call('ZREM', KEYS[2], id)
    redis.call('DEL', ARGV[7] .. id)
    return
  end
  local attempt = redis.call('HINCRBY', hash, 'attempt', 1)
  redis.call('HSET', hash, 'status', 'STARTED', 'token', token, 'started_ms', now, 'worker', ARGV[8], 'progress', 0)
  enter(id, owner, status, 'STARTED', attempt, now, ttl, events_kept)
  redis.call('ZADD', KEYS[2], lapse, id)
  redis.call('RPUSH', KEYS[3], id)
  redis.call('PEXPIRE', KEYS[3], lease)
  table.insert(begun, id)
  table.insert(begun, redis.call('HGETALL', hash))
end

local mine = {}
for i = 10, #ARGV do
  mine[ARGV[i]] = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, count + #ARGV)) do
  if mine[id] then
    redis.call('ZADD', KEYS[2], lapse, id) -- its worker, or Redis, was frozen
  elseif not is_paused and #begun < 2 * count then
    begin(id, KEYS[1])
  end
end

if is_paused then
  return begun
end

-- Not ours to begin: cron jobs of arq's own loop, and what such a loop runs, which stays in the queue meanwhile.
local function is_left(id)
  return mine[id] or redis.call('EXISTS', 'task:' .. id) == 0 or redis.call('EXISTS', ARGV[6] .. id) == 1
    or redis.call('ZSCORE', KEYS[2], id)
end

-- Begin tasks of one queue until there are `most` entries in `begun`, two for each task.
local function begin_due(queue, most)
  local left, batch = 0, most - #begun
  while #begun < most do
    local due = redis.call('ZRANGEBYSCORE', queue, '-inf', now, 'LIMIT', left, batch)
    for _, id in ipairs(due) do
      if #begun == most then
        return
      end
      if is_left(id) then
        left = left + 1
      else
        begin(id, queue)
      end
    end
    if #due < batch then
      return
    end
  end
end

begin_due(KEYS[1], 2 * count)
begin_due(KEYS[4], #begun + 2 * ARGV[9])
return begun
