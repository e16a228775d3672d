-- Positions in the queue, for the scripts that report them. It stands after `_turns.lua`.

local MOST_FLOWS = 8 -- looked at for a position

-- The number of tasks that start before a waiting one if no others come; false if it waits for no turn. It is exact for
-- a single flow; between flows it supposes that the tasks of each cost what its last one did.
local function tasks_before(task)
  local line, rank = 'turns:' .. task.line, redis.call('ZRANK', task.tasks, task.id)
  if not rank then
    return false
  end
  local flows, names = redis.call('ZRANGE', line, 0, MOST_FLOWS - 1, 'WITHSCORES'), {}
  if #flows > 2 then
    for i = 1, #flows, 2 do
      table.insert(names, 'cost:' .. task.line .. ':' .. flows[i])
    end
    table.insert(names, 'cost:' .. task.line .. ':' .. task.flow)
    local costs = redis.call('HMGET', 'turns:state', unpack(names))
    local start = (redis.call('ZSCORE', line, task.flow) or 0) + rank * (costs[#costs] or 1)
    local before, looked_at, others = 0, 0, 0
    for i = 1, #flows, 2 do
      local flow, lead = flows[i], start - flows[i + 1]
      if lead < 0 then
        break
      end
      looked_at = looked_at + 1
      if flow ~= task.flow then
        others = others + 1
        local turns = lead / (costs[looked_at] or 1)
        -- At the same virtual time the name decides, as in the sorted set.
        turns = math.ceil(turns) + ((turns == math.floor(turns) and flow < task.flow) and 1 or 0)
        before = before + math.min(turns, redis.call('ZCARD', 'turns:' .. task.line .. ':' .. flow))
      end
    end
    if looked_at == MOST_FLOWS then -- suppose that the rest is like these
      before = math.floor(before * (redis.call('ZCOUNT', line, '-inf', start) - 1) / others)
    end
    rank = rank + before
  end
  if task.line == 'background' then
    for _, flow in ipairs(redis.call('ZRANGE', 'turns:main', 0, -1)) do
      rank = rank + redis.call('ZCARD', 'turns:main:' .. flow)
    end
  end
  return rank
end

-- The position of a task that has just been queued, as a detail of its event; empty if it is not due yet.
local function position_detail(task)
  local before = tasks_before(task)
  return before and {'position', before + 1} or {}
end
