-- Start due tasks for one worker: first tasks whose lease has expired, then the oldest of each queue.
-- KEYS  1 queue, 2 leases, 3 ids started by this call (in case the client repeats it), 4 fetch queue, 5 pause flag.
--       Queues score ids with the time from which they are due, leases with the time at which they expire (Unix ms).
-- args  count, fetches (most tasks of the queue, of the fetch queue), running (ids that this worker runs), worker, token,
--       hosts, owners (maps of the hosts and owners of its present fetches to their numbers), host_share, owner_share (most
--       fetches of each), lease_ms, unfinished_ttl_ms, lock_prefix, job_prefix, events_kept
-- Returns id, hash, id, hash, ... of the started tasks; each hash is field, value, field, value, ...
-- Leases follow the server's clock: the workers' clocks may differ, and a call to a frozen server may arrive late.
local queue, leases, started_key, fetch_queue, pause_flag = unpack(KEYS)
local now = server_ms()
local expiry = now + args.lease_ms
local started = {}
local is_paused = redis.call('EXISTS', pause_flag) == 1

local repeated = redis.call('LRANGE', started_key, 0, -1)
for _, id in ipairs(repeated) do
  table.insert(started, id)
  table.insert(started, redis.call('HGETALL', 'task:' .. id))
end
if #repeated > 0 then
  return started
end

local function start(id, source)
  local hash = 'task:' .. id
  local status, owner = unpack(redis.call('HMGET', hash, 'status', 'owner'))
  redis.call('ZREM', source, id)
  if status ~= 'PENDING' and status ~= 'STARTED' then
    redis.call('ZREM', leases, id)
    redis.call('DEL', args.job_prefix .. id)
    return
  end
  local attempt = redis.call('HINCRBY', hash, 'attempt', 1)
  redis.call('HSET', hash, 'status', 'STARTED', 'token', args.token, 'started_ms', now, 'worker', args.worker,
    'progress', 0)
  enter_state(id, owner, status, 'STARTED', attempt, now, args.unfinished_ttl_ms)
  redis.call('ZADD', leases, expiry, id)
  redis.call('RPUSH', started_key, id)
  redis.call('PEXPIRE', started_key, args.lease_ms)
  table.insert(started, id)
  table.insert(started, redis.call('HGETALL', hash))
end

local is_own = {}
for _, id in ipairs(args.running) do
  is_own[id] = true
end
local expired = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, args.count + #args.running)
for _, id in ipairs(expired) do
  if is_own[id] then
    redis.call('ZADD', leases, expiry, id) -- the worker, or Redis, was frozen
  elseif not is_paused and #started < 2 * args.count then
    start(id, queue)
  end
end

if is_paused then
  return started
end

-- Whether an entry of the queue is not to be started: cron jobs of arq's own loop, and jobs that such a loop runs.
local function is_skipped(id)
  return is_own[id] or redis.call('EXISTS', 'task:' .. id) == 0 or redis.call('EXISTS', args.lock_prefix .. id) == 1
    or redis.call('ZSCORE', leases, id)
end

local function of_fetch(id)
  local host, owner = unpack(redis.call('HMGET', 'task:' .. id, 'host', 'owner'))
  return host or '', owner
end

-- Whether the host or the owner of a task that must be fetched has its share of this worker's fetches.
local function is_over_share(id)
  local host, owner = of_fetch(id)
  return (args.hosts[host] or 0) >= args.host_share or (owner and (args.owners[owner] or 0) >= args.owner_share)
end

local MOST_SKIPPED = 1000

-- Start tasks of one queue until `started` has `limit` entries, two for each task.
local function start_due(source, limit)
  local skipped, batch = 0, limit - #started
  while #started < limit and skipped < MOST_SKIPPED do
    local due = redis.call('ZRANGEBYSCORE', source, '-inf', now, 'LIMIT', skipped, batch)
    for _, id in ipairs(due) do
      if #started == limit then
        return
      end
      if is_skipped(id) or (source == fetch_queue and is_over_share(id)) then
        skipped = skipped + 1
      else
        if source == fetch_queue then
          local host, owner = of_fetch(id)
          args.hosts[host] = (args.hosts[host] or 0) + 1
          args.owners[owner or ''] = (args.owners[owner or ''] or 0) + 1
        end
        start(id, source)
      end
    end
    if #due < batch then
      return
    end
  end
end

start_due(queue, 2 * args.count)
start_due(fetch_queue, #started + 2 * args.fetches)
return started
