-- Shared by the scripts that change a task's state; stands before each of them.

-- Keep the indices, the time to live and the event log in step with a task that goes from one state ('' for none) to another.
local function enter(id, from, to, attempt, now, ttl, events_kept)
  redis.call('PEXPIRE', 'task:' .. id, ttl)
  if from ~= '' then
    redis.call('ZREM', 'tasks:' .. from, id)
  end
  redis.call('ZADD', 'tasks:' .. to, now, id)
  redis.call('XADD', 'tasks:events', 'MAXLEN', '~', events_kept, '*', 'task_id', id, 'status', to, 'attempt', attempt)
end

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

