-- Shared by the scripts that change a task's state; stands before each of them.

-- Add an event to the log: fields and values beside the task and its attempt.
local function log(id, attempt, events_kept, ...)
  redis.call('XADD', 'tasks:events', 'MAXLEN', '~', events_kept, '*', 'task_id', id, 'attempt', attempt, ...)
end

-- Keep the indices, the time to live and the event log in step with a task that goes from one state ('' for none) to
-- another; `steps` is what it has done that nobody was told of (JSON), if it is given.
local function enter(id, from, to, attempt, now, ttl, events_kept, steps)
  redis.call('PEXPIRE', 'task:' .. id, ttl)
  if from ~= '' then
    redis.call('ZREM', 'tasks:' .. from, id)
  end
  redis.call('ZADD', 'tasks:' .. to, now, id)
  if to == 'PENDING' then
    log(id, attempt, events_kept, 'status', to, 'position', redis.call('ZCARD', 'tasks:PENDING'))
  elseif steps and steps ~= '' then
    log(id, attempt, events_kept, 'status', to, 'steps', steps)
  else
    log(id, attempt, events_kept, 'status', to)
  end
end

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

