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
local ids, started = {}, {}
local repeated, is_paused = unpack(redis.call('MGET', started_key, pause_flag))

if repeated then
  for id in string.gmatch(repeated, '%S+') do
    table.insert(started, id)
    table.insert(started, redis.call('HGETALL', 'task:' .. id))
  end
  return started
end

-- Whether a task can be started; one that has ended leaves the leases and arq's queues.
local function is_unfinished(task)
  if task.status == 'PENDING' or task.status == 'STARTED' then
    return true
  end
  for _, key in ipairs({leases, queue, fetch_queue}) do
    redis.call('ZREM', key, task.id)
  end
  redis.call('DEL', args.job_prefix .. task.id)
  return false
end

local function start(task)
  redis.call('ZREM', task.fetch and fetch_queue or queue, task.id)
  task.attempt = (tonumber(task.attempt) or 0) + 1
  enter_state(task, 'STARTED', now, args.unfinished_ttl_ms,
    {'token', args.token, 'started_ms', now, 'worker', args.worker, 'progress', 0})
  redis.call('ZADD', leases, expiry, task.id)
  if task.expires_ms then
    redis.call('ZREM', 'turns:timers', 'expire:' .. task.id)
  end
  table.insert(ids, task.id)
  table.insert(started, task.id)
  table.insert(started, redis.call('HGETALL', 'task:' .. task.id))
end

local is_own = {}
for _, id in ipairs(args.running) do
  is_own[id] = true
end
local lapsed = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, args.count + #args.running)
for _, id in ipairs(lapsed) do
  if is_own[id] then
    redis.call('ZADD', leases, expiry, id) -- the worker, or Redis, was frozen
  elseif not is_paused and #ids < args.count then
    local task = task_of(id)
    if is_unfinished(task) then
      if task.status == 'PENDING' then -- arq's own loop had only locked it
        leave_turn(task)
      end
      start(task)
    end
  end
end

-- Start the tasks that have expired, which takes no slot, and let those that are due now wait for their turns.
local room, AT_ONCE = args.count, 100
local timers = redis.call('ZRANGEBYSCORE', 'turns:timers', '-inf', now, 'WITHSCORES', 'LIMIT', 0, AT_ONCE)
for i = 1, #timers, 2 do
  local kind, id = string.match(timers[i], '(%a+):(.*)')
  local task = task_of(id)
  if task.status ~= 'PENDING' then
    redis.call('ZREM', 'turns:timers', timers[i])
  elseif kind == 'start' then
    redis.call('ZREM', 'turns:timers', timers[i])
    enter_turn(task, tonumber(timers[i + 1]), now)
  elseif redis.call('EXISTS', args.lock_prefix .. id) == 0 then
    leave_turn(task)
    start(task)
    room = room + 1
  end
end

local MOST_SKIPPED = 300 -- waiting tasks looked at for one start

-- The first task of a flow that this worker can start, whether another follows, and what it is charged; nil if there is
-- none. Skipped are tasks that arq's own loop runs, those that this worker has just handed back, and fetches from a host
-- that has its share.
local function first_of(line, flow)
  if line == 'fetch' and flow ~= '' and (args.flows[flow] or 0) >= args.flow_share then
    return
  end
  local tasks, skipped = 'turns:' .. line .. ':' .. flow, 0
  while skipped < MOST_SKIPPED do
    local id, following = unpack(redis.call('ZRANGE', tasks, skipped, skipped + 1))
    if not id then
      return
    end
    local task = task_of(id)
    if task.status ~= 'PENDING' or task.tasks ~= tasks then -- it was deleted, or another version of Darkroom runs it
      redis.call('ZREM', tasks, id)
    elseif is_own[id] or redis.call('EXISTS', args.lock_prefix .. id) == 1
      or (line == 'fetch' and (args.hosts[task.host] or 0) >= args.host_share) then
      skipped = skipped + 1
    else
      return task, following or skipped > 0, charge_of(task, unpack(redis.call('HMGET', 'turns:pace', flow, '*')))
    end
  end
end

-- Start up to `most` tasks of a line by turns.
local function start_by_turns(line, most)
  local flows, virtual = 'turns:' .. line, nil
  local passed = 0 -- flows that have no task to start; they keep their turn
  most = most + #ids
  while #ids < most do
    local flow, turn = unpack(redis.call('ZRANGE', flows, passed, passed, 'WITHSCORES'))
    if not flow then
      return
    end
    virtual = virtual or virtual_now(line)
    local task, has_more, charge = first_of(line, flow)
    if task then
      start(task)
      virtual = math.max(virtual, tonumber(turn)) -- a flow may have been passed over
      redis.call('ZREM', task.tasks, task.id)
      if has_more then
        redis.call('ZADD', flows, virtual + charge, flow)
        redis.call('HSET', 'turns:state', 'now:' .. line, virtual, 'cost:' .. line .. ':' .. flow, charge)
      else
        redis.call('HSET', 'turns:state', 'now:' .. line, virtual)
        remove_flow(line, flow, virtual + charge, virtual)
      end
      if line == 'fetch' then
        args.hosts[task.host] = (args.hosts[task.host] or 0) + 1
        args.flows[flow] = (args.flows[flow] or 0) + 1
      end
    elseif redis.call('EXISTS', 'turns:' .. line .. ':' .. flow) == 1 then
      passed = passed + 1
    else
      remove_flow(line, flow, tonumber(turn), virtual)
    end
  end
end

if not is_paused then
  start_by_turns('main', room - #ids)
  start_by_turns('background', room - #ids)
  start_by_turns('fetch', args.fetches)
end
if #ids > 0 then
  redis.call('SET', started_key, table.concat(ids, ' '), 'PX', args.lease_ms)
end
return started
