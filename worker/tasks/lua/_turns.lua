-- Fair turns by start-time fair queueing: the flows of a line (API keys, or queue groups) take turns by their costs.
-- A line is a queue of its own: 'main', 'background' (priority=low: only while nothing waits in main) and 'fetch' (URLs).
--   turns:<line>              waiting flow -> the virtual time of its next start
--   turns:<line>:<flow>       waiting task -> its place in the flow: its priority, then its time
--   turns:ahead:<line>        flow that waits no more -> its next start, if that is later than the line's virtual time
--   turns:costs:<line>        waiting flow -> the cost of its next task, for positions
--   turns:now                 line -> its virtual time: that of the task started last
--   turns:later               task that is not due yet -> when it is (Unix ms)
--   turns:pace:<flow>         what the flow's tasks take, as a multiple of the expected cost; '*' for all flows
--   turns:expiring            waiting task with a deadline -> when it fails if it has not been started (Unix ms)
-- A task of cost c that is started moves its flow's next start by c / weight, so a flow with weight 3 has three turns
-- for one of weight 1, and a flow that comes back has not saved up turns.

local PRIORITIES = {high = 0, normal = 1, low = 2}
local FIELDS = {'status', 'owner', 'group', 'priority', 'fetch', 'cost', 'weight', 'host', 'expires_ms'}
local PLACES_MS = 1e13 -- room for times in Unix ms between two priorities
local PACE_TTL_MS = 86400000
local PACE_STEP = 0.1 -- how much the last task counts
local MOST_FLOWS = 50 -- looked at for a position

local function turn_of(id)
  local status, owner, group, priority, fetch, cost, weight, host, expires =
    unpack(redis.call('HMGET', 'task:' .. id, unpack(FIELDS)))
  local line = fetch == '1' and 'fetch' or priority == 'low' and 'background' or 'main'
  local flow = owner or group or ''
  return {
    status = status, owner = owner, line = line, flow = flow, tasks = 'turns:' .. line .. ':' .. flow, host = host or '', expires = expires,
    priority = PRIORITIES[priority or 'normal'], cost = tonumber(cost or 1), weight = tonumber(weight or 1),
  }
end

local function virtual_now(line)
  return tonumber(redis.call('HGET', 'turns:now', line) or 0)
end

-- What a task costs its flow: its expected cost at the pace of the flow, by weight.
local function charge_of(turn)
  local pace = redis.call('GET', 'turns:pace:' .. turn.flow) or redis.call('GET', 'turns:pace:*') or 1
  return turn.cost * pace / turn.weight
end

-- Count the time that a task took for the pace of its flow and of all.
local function learn_pace(turn, took_ms)
  for _, key in ipairs({'turns:pace:' .. turn.flow, 'turns:pace:*'}) do
    local pace, ratio = redis.call('GET', key), took_ms / turn.cost
    pace = pace and pace + PACE_STEP * (ratio - pace) or ratio
    redis.call('SET', key, string.format('%.6f', math.max(pace, 0.001)), 'PX', PACE_TTL_MS)
  end
end

-- Queue a task for its turn, at the place of `due`, or for later if it is not due yet.
local function enter_turn(id, turn, due, now)
  if due > now then
    redis.call('ZADD', 'turns:later', due, id)
    return
  end
  redis.call('ZADD', turn.tasks, turn.priority * PLACES_MS + due, id)
  if not redis.call('ZSCORE', 'turns:' .. turn.line, turn.flow) then
    local ahead = 'turns:ahead:' .. turn.line
    local start = math.max(virtual_now(turn.line), tonumber(redis.call('ZSCORE', ahead, turn.flow) or 0))
    redis.call('ZADD', 'turns:' .. turn.line, start, turn.flow)
    redis.call('ZREM', ahead, turn.flow)
    redis.call('HSET', 'turns:costs:' .. turn.line, turn.flow, charge_of(turn))
  end
end

-- Remove a flow without waiting tasks, which was to start next at virtual time `start`.
local function remove_flow(line, flow, start)
  redis.call('ZREM', 'turns:' .. line, flow)
  redis.call('HDEL', 'turns:costs:' .. line, flow)
  if start > virtual_now(line) then
    redis.call('ZADD', 'turns:ahead:' .. line, start, flow)
  end
end

-- Take a task out of its line without a charge: it is cancelled, fails there, or arq's own loop has started it.
local function leave_turn(id, turn)
  redis.call('ZREM', 'turns:later', id)
  local start = redis.call('ZSCORE', 'turns:' .. turn.line, turn.flow)
  if redis.call('ZREM', turn.tasks, id) == 1 and start then
    if redis.call('EXISTS', turn.tasks) == 0 then
      remove_flow(turn.line, turn.flow, tonumber(start))
    end
  end
end

-- Take a task out of its line and charge its flow, which was to start at virtual time `start`.
local function take_turn(id, turn, start)
  local charge = charge_of(turn)
  start = math.max(start, virtual_now(turn.line)) -- it may have been passed over
  redis.call('HSET', 'turns:now', turn.line, start)
  redis.call('ZREM', turn.tasks, id)
  if redis.call('EXISTS', turn.tasks) == 1 then
    redis.call('ZADD', 'turns:' .. turn.line, start + charge, turn.flow)
    redis.call('HSET', 'turns:costs:' .. turn.line, turn.flow, charge)
  else
    remove_flow(turn.line, turn.flow, start + charge)
  end
end

-- The flows of a line with their next starts, in order: {flow, start, flow, start, ...}.
local function flows_of(line, first, last)
  return redis.call('ZRANGE', 'turns:' .. line, first, last, 'WITHSCORES')
end

local function waiting_in(line)
  local waiting, flows = 0, flows_of(line, 0, -1)
  for i = 1, #flows, 2 do
    waiting = waiting + redis.call('ZCARD', 'turns:' .. line .. ':' .. flows[i])
  end
  return waiting
end

-- The number of tasks that start before a waiting one if no others come; false if it waits for no turn. It is exact for
-- a single flow; between flows it supposes that the tasks of each cost what its last one did.
local function tasks_before(id, turn)
  local rank = redis.call('ZRANK', turn.tasks, id)
  local own_start = redis.call('ZSCORE', 'turns:' .. turn.line, turn.flow)
  if not rank or not own_start then
    return false
  end
  local costs_key = 'turns:costs:' .. turn.line
  local start = own_start + rank * (redis.call('HGET', costs_key, turn.flow) or 1)
  local before, flows, looked_at = 0, flows_of(turn.line, 0, MOST_FLOWS - 1), 0
  for i = 1, #flows, 2 do
    local flow, lead = flows[i], start - flows[i + 1]
    if lead < 0 then
      break
    end
    looked_at = looked_at + 1
    if flow ~= turn.flow then
      local turns = lead / (redis.call('HGET', costs_key, flow) or 1)
      -- At the same virtual time the name decides, as in the sorted set.
      turns = math.ceil(turns) + ((turns == math.floor(turns) and flow < turn.flow) and 1 or 0)
      before = before + math.min(turns, redis.call('ZCARD', 'turns:' .. turn.line .. ':' .. flow))
    end
  end
  if looked_at == MOST_FLOWS then -- suppose that the others are like these
    before = math.floor(before * redis.call('ZCOUNT', 'turns:' .. turn.line, '-inf', start) / looked_at)
  end
  return before + rank + (turn.line == 'background' and waiting_in('main') or 0)
end

-- The position of a task that has just been queued, as a detail of its event; empty if it is not due yet.
local function position_detail(id, turn)
  local before = tasks_before(id, turn)
  return before and {'position', before + 1} or {}
end
