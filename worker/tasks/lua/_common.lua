-- Shared by the scripts that change a task's state; stands before each of them.

-- Add an event to the log: fields and values beside the task, its attempt and its owner (false for nobody).
local function log(id, owner, attempt, events_kept, ...)
  if owner then
    redis.call('XADD', 'tasks:events', 'MAXLEN', '~', events_kept, '*', 'task_id', id, 'owner', owner, 'attempt', attempt,
      ...)
  else
    redis.call('XADD', 'tasks:events', 'MAXLEN', '~', events_kept, '*', 'task_id', id, 'attempt', attempt, ...)
  end
end

-- Count the tasks that have ended in the last 10 s: all, or an owner's.
local function ended_lately(now, suffix)
  local ended = 0
  for _, status in ipairs({'SUCCESS', 'FAILURE', 'REVOKED'}) do
    ended = ended + redis.call('ZCOUNT', 'tasks:' .. status .. suffix, now - 10000, '+inf')
  end
  return ended
end

-- Keep the indices, the time to live and the event log in step with a task that goes from one state ('' for none) to
-- another; `owner` is whose it is (false for nobody's), `steps` what it has done that nobody was told of (JSON), if it is
-- given.
local function enter(id, owner, from, to, attempt, now, ttl, events_kept, steps)
  redis.call('PEXPIRE', 'task:' .. id, ttl)
  if from ~= '' then
    redis.call('ZREM', 'tasks:' .. from, id)
  end
  redis.call('ZADD', 'tasks:' .. to, now, id)
  if owner then
    if from ~= '' then
      redis.call('ZREM', 'tasks:' .. from .. ':' .. owner, id)
    end
    redis.call('ZADD', 'tasks:' .. to .. ':' .. owner, now, id)
  end
  if to == 'PENDING' then
    log(id, owner, attempt, events_kept, 'status', to, 'position', redis.call('ZCARD', 'tasks:PENDING'))
  elseif steps and steps ~= '' then
    log(id, owner, attempt, events_kept, 'status', to, 'steps', steps)
  else
    log(id, owner, attempt, events_kept, 'status', to)
  end
end

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

