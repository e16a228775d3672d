-- The part that all scripts share. It stands before each of them.

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local EVENT_IDS_BYTES = 4000 -- of one task: its last 190 events

-- Append an event to the stream `tasks:events`. The varargs are further field, value pairs; owner is false for none.
-- The id of the event is also kept in the record, and in a stream for each owner, so that both are found without a scan.
local function log_event(id, owner, attempt, ...)
  local fields = {'task_id', id, 'attempt', attempt, ...}
  if owner then
    table.insert(fields, 'owner')
    table.insert(fields, owner)
  end
  local event = redis.call('XADD', 'tasks:events', 'MAXLEN', '~', args.events_kept, '*', unpack(fields))
  if owner then
    redis.call('XADD', 'tasks:events:' .. owner, 'MAXLEN', '~', args.events_kept, event, 'e', '')
  end
  return event
end

-- Remember an event in the record of its task; the first, of the creation, is found by the time of creation.
local function remember_event(id, event)
  local hash = 'task:' .. id
  local events = redis.call('HGET', hash, 'events')
  redis.call('HSET', hash, 'events', string.sub((events and events .. ' ' or '') .. event, -EVENT_IDS_BYTES))
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
-- `now` is the time of the change, or when a new task is due. `from` is false for a new task, `owner` false for none. `details` are fields and values for the event, or nil.
local function enter_state(id, owner, from, to, attempt, now, ttl, details)
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
  local event = log_event(id, owner, attempt, 'status', to, unpack(details or {}))
  if from then
    remember_event(id, event)
  end
end

