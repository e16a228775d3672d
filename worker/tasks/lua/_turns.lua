-- Fair turns by start-time fair queueing: the flows of a line (API keys, or queue groups) take turns by their costs.
-- A line is a queue of its own: 'main', 'background' (priority=low: only while nothing waits in main) and 'fetch' (URLs).
--   turns:<line>              waiting flow -> the virtual time of its next start
--   turns:<line>:<flow>       waiting task -> its place in the flow: its priority, then its time
--   turns:ahead:<line>        flow that waits no more -> its next start, if that is later than the line's virtual time
--   turns:state               now:<line> -> the virtual time: that of the task started last;
--                             cost:<line>:<flow> -> the cost of the next task of a waiting flow, for positions
--   turns:timers              start:<task that is not due yet> and expire:<waiting task> -> when (Unix ms)
--   turns:pace                flow -> what its tasks take, as a multiple of the expected cost; '*' for all flows
-- A task of cost c that is started moves its flow's next start by c / weight, so a flow with weight 3 has three turns
-- for one of weight 1, and a flow that comes back has not saved up turns.

local PRIORITIES = {high = 0, normal = 1, low = 2}
local PLACES_MS = 1e13 -- room for times in Unix ms between two priorities

-- Set the line and the flow of a task, and the key of the flow's tasks.
local function set_turn(task)
  task.line = task.fetch and 'fetch' or task.priority == 'low' and 'background' or 'main'
  task.flow = task.owner or task.group or ''
  task.tasks = 'turns:' .. task.line .. ':' .. task.flow
  return task
end

-- Read what scripts need of a task, and up to three further fields; its status is false if there is no such task.
local function task_of(id, ...)
  local values = redis.call('HMGET', 'task:' .. id, 'status', 'attempt', 'owner', 'events', 'group', 'priority', 'fetch',
    'cost', 'weight', 'expires_ms', 'host', 'batch', 'tags', ...)
  return set_turn({
    id = id, status = values[1], attempt = values[2], owner = values[3], events = values[4], group = values[5],
    priority = values[6], fetch = values[7] == '1', cost = values[8], weight = values[9], expires_ms = values[10],
    host = values[11], batch = values[12], tags = values[13],
  }), values[14], values[15], values[16]
end

local function virtual_now(line)
  return tonumber(redis.call('HGET', 'turns:state', 'now:' .. line) or 0)
end

-- What a task costs its flow: its expected cost at the pace of the flow, or of all, by weight.
local function charge_of(task, pace, pace_of_all)
  return (task.cost or 1) * (pace or pace_of_all or 1) / (task.weight or 1)
end

-- Queue a task for its turn, at the place of `due`, or for later if it is not due yet.
local function enter_turn(task, due, now)
  if due > now then
    redis.call('ZADD', 'turns:timers', due, 'start:' .. task.id)
    return
  end
  redis.call('ZADD', task.tasks, PRIORITIES[task.priority or 'normal'] * PLACES_MS + due, task.id)
  if not redis.call('ZSCORE', 'turns:' .. task.line, task.flow) then
    local ahead = 'turns:ahead:' .. task.line
    local start = math.max(virtual_now(task.line), tonumber(redis.call('ZSCORE', ahead, task.flow) or 0))
    redis.call('ZADD', 'turns:' .. task.line, start, task.flow)
    redis.call('ZREM', ahead, task.flow)
    local charge = charge_of(task, unpack(redis.call('HMGET', 'turns:pace', task.flow, '*')))
    redis.call('HSET', 'turns:state', 'cost:' .. task.line .. ':' .. task.flow, charge)
  end
end

-- Remove a flow without waiting tasks, which was to start next at virtual time `start`.
local function remove_flow(line, flow, start, virtual)
  redis.call('ZREM', 'turns:' .. line, flow)
  redis.call('HDEL', 'turns:state', 'cost:' .. line .. ':' .. flow)
  redis.call('ZREMRANGEBYSCORE', 'turns:ahead:' .. line, '-inf', virtual)
  if start > virtual then
    redis.call('ZADD', 'turns:ahead:' .. line, start, flow)
  end
end

-- Take a task out of its line without a charge: it is cancelled, fails there, or arq's own loop has started it.
local function leave_turn(task)
  if redis.call('ZREM', task.tasks, task.id) == 0 then
    redis.call('ZREM', 'turns:timers', 'start:' .. task.id)
  elseif redis.call('EXISTS', task.tasks) == 0 then
    local start = redis.call('ZSCORE', 'turns:' .. task.line, task.flow)
    remove_flow(task.line, task.flow, tonumber(start or 0), virtual_now(task.line))
  end
end
