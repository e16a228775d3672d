-- Start due tasks for one worker: those whose lease has expired, then those that were not started in time, which fail
-- without a slot, then those of each line by turns.
-- KEYS  1 queue, 2 leases, 3 ids started by this call (in case the client repeats it), 4 fetch queue, 5 pause flag.
--       The queues are those of arq's own loop; leases score ids with the time at which they expire (Unix ms).
-- args  count, fetches (most tasks of the lines main and background together, and of the line fetch), running (ids that
--       this worker runs), worker, token, hosts, flows (maps of the hosts and flows of its present fetches to their
--       numbers), host_share, flow_share (most fetches of each), lease_ms, unfinished_ttl_ms, lock_prefix, job_prefix,
--       events_kept
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

-- Whether a task can be started; one that has ended leaves the leases and arq's queues.
local function is_unfinished(id, status)
  if status == 'PENDING' or status == 'STARTED' then
    return true
  end
  for _, set in ipairs({leases, queue, fetch_queue}) do
    redis.call('ZREM', set, id)
  end
  redis.call('DEL', args.job_prefix .. id)
  return false
end

local function start(id, turn)
  local hash = 'task:' .. id
  redis.call('ZREM', turn.line == 'fetch' and fetch_queue or queue, id)
  local attempt = redis.call('HINCRBY', hash, 'attempt', 1)
  redis.call('HSET', hash, 'status', 'STARTED', 'token', args.token, 'started_ms', now, 'worker', args.worker,
    'progress', 0)
  enter_state(id, turn.owner, turn.status, 'STARTED', attempt, now, args.unfinished_ttl_ms)
  redis.call('ZADD', leases, expiry, id)
  if turn.expires then
    redis.call('ZREM', 'turns:expiring', id)
  end
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
    local turn = turn_of(id)
    if is_unfinished(id, turn.status) then
      if turn.status == 'PENDING' then -- arq's own loop had only locked it
        leave_turn(id, turn)
      end
      start(id, turn)
    end
  end
end

local AT_ONCE = 100

local overdue = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'turns:expiring', '-inf', now, 'LIMIT', 0, AT_ONCE)) do
  local turn = turn_of(id)
  redis.call('ZREM', 'turns:expiring', id)
  if turn.status == 'PENDING' and redis.call('EXISTS', args.lock_prefix .. id) == 0 then
    leave_turn(id, turn)
    start(id, turn)
    overdue = overdue + 1
  end
end

if is_paused then
  return started
end

local later = redis.call('ZRANGEBYSCORE', 'turns:later', '-inf', now, 'LIMIT', 0, AT_ONCE, 'WITHSCORES')
for i = 1, #later, 2 do
  redis.call('ZREM', 'turns:later', later[i])
  if redis.call('HGET', 'task:' .. later[i], 'status') == 'PENDING' then
    enter_turn(later[i], turn_of(later[i]), tonumber(later[i + 1]), now)
  end
end

local MOST_SKIPPED = 1000 -- waiting tasks looked at for one start

-- The first task of a flow that this worker can start, with its turn; nil if there is none. Skipped are tasks that arq's
-- own loop runs, those that this worker has just handed back, and fetches from a host that has its share.
local function first_of(line, flow)
  if line == 'fetch' and flow ~= '' and (args.flows[flow] or 0) >= args.flow_share then
    return
  end
  local tasks, skipped = 'turns:' .. line .. ':' .. flow, 0
  while skipped < MOST_SKIPPED do
    local id = redis.call('ZRANGE', tasks, skipped, skipped)[1]
    if not id then
      return
    end
    local turn = turn_of(id)
    if turn.status ~= 'PENDING' or turn.tasks ~= tasks then -- it was deleted, or another version of Darkroom runs it
      redis.call('ZREM', tasks, id)
    elseif is_own[id] or (line == 'fetch' and (args.hosts[turn.host] or 0) >= args.host_share)
      or redis.call('EXISTS', args.lock_prefix .. id) == 1 or redis.call('ZSCORE', leases, id) then
      skipped = skipped + 1
    else
      return id, turn
    end
  end
end

-- Start tasks of a line by turns until `started` has `limit` entries, two for each task.
local function start_by_turns(line, limit)
  -- A first write that needs no memory: a full Redis then lets the rest of the script pass.
  redis.call('ZREMRANGEBYSCORE', 'turns:ahead:' .. line, '-inf', virtual_now(line))
  local passed = 0 -- flows that have no task to start; they keep their turn
  while #started < limit do
    local flow, flow_start = unpack(flows_of(line, passed, passed))
    if not flow then
      break
    end
    local id, turn = first_of(line, flow)
    if id then
      take_turn(id, turn, tonumber(flow_start))
      start(id, turn)
      if line == 'fetch' then
        args.hosts[turn.host] = (args.hosts[turn.host] or 0) + 1
        args.flows[flow] = (args.flows[flow] or 0) + 1
      end
    elseif redis.call('EXISTS', 'turns:' .. line .. ':' .. flow) == 1 then
      passed = passed + 1
    else
      remove_flow(line, flow, tonumber(flow_start))
    end
  end
end

start_by_turns('main', 2 * (args.count + overdue))
start_by_turns('background', 2 * (args.count + overdue))
start_by_turns('fetch', #started + 2 * args.fetches)
return started
