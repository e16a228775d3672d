-- The part that all scripts share. It stands before each of them.

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Append an event to the stream `tasks:events`. The varargs are further field, value pairs; owner is false for none.
local function log_event(id, owner, attempt, ...)
  local fields = {'task_id', id, 'attempt', attempt, ...}
  if owner then
    table.insert(fields, 'owner')
    table.insert(fields, owner)
  end
  redis.call('XADD', 'tasks:events', 'MAXLEN', '~', args.events_kept, '*', unpack(fields))
end

-- Count the tasks that ended in the last 10 s; `suffix` is '' for all tasks or ':<owner>'.
local function count_recently_ended(now, suffix)
  local ended = 0
  for _, status in ipairs({'SUCCESS', 'FAILURE', 'REVOKED'}) do
    ended = ended + redis.call('ZCOUNT', 'tasks:' .. status .. suffix, now - 10000, '+inf')
  end
  return ended
end

-- Update the state indices, the time to live and the event stream for a task that changes its state.
-- `from` is false for a new task, `owner` false for none. `steps` (JSON) are completed steps to publish, or nil.
local function enter_state(id, owner, from, to, attempt, now, ttl, steps)
  redis.call('PEXPIRE', 'task:' .. id, ttl)
  if from then
    redis.call('ZREM', 'tasks:' .. from, id)
  end
  redis.call('ZADD', 'tasks:' .. to, now, id)
  if owner then
    if from then
      redis.call('ZREM', 'tasks:' .. from .. ':' .. owner, id)
    end
    redis.call('ZADD', 'tasks:' .. to .. ':' .. owner, now, id)
  end
  if to == 'PENDING' then
    log_event(id, owner, attempt, 'status', to, 'position', redis.call('ZCARD', 'tasks:PENDING'))
  elseif steps then
    log_event(id, owner, attempt, 'status', to, 'steps', steps)
  else
    log_event(id, owner, attempt, 'status', to)
  end
end

