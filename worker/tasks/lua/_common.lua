-- The part that all scripts share. It stands before each of them.

local function server_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local EVENT_IDS_BYTES = 4000 -- of one task: its last 190 events

-- Append an event of a task {id, attempt, owner, batch, tags} to the stream `tasks:events`. The varargs are further field, value
-- pairs. Its id is also kept in the record, and in a stream for each owner, so that both are found without a scan.
local function log_event(task, ...)
  local owner, fields = task.owner, {'task_id', task.id, 'attempt', task.attempt, ...}
  if task.batch then
    table.insert(fields, 'batch')
    table.insert(fields, task.batch)
  end
  if task.tags then
    table.insert(fields, 'tags')
    table.insert(fields, task.tags)
  end
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

-- The ids of the events of a task with one more, as its record has them; the first, of the creation, is found by the time
-- of creation.
local function with_event(events, event)
  return string.sub((events and events .. ' ' or '') .. event, -EVENT_IDS_BYTES)
end

-- Count the tasks that ended in the last 10 s; `suffix` is '' for all tasks or ':<owner>'.
local function count_recently_ended(now, suffix)
  local ended = 0
  for _, status in ipairs({'SUCCESS', 'FAILURE', 'REVOKED'}) do
    ended = ended + redis.call('ZCOUNT', 'tasks:' .. status .. suffix, now - 10000, '+inf')
  end
  return ended
end

-- Move one task of a batch from the count of a state, unless it is new, to that of another. Return whether all have ended.
local function count_in_batch(batch, from, to)
  if from then
    redis.call('HINCRBY', 'batch:' .. batch, from, -1)
  end
  redis.call('HINCRBY', 'batch:' .. batch, to, 1)
  if to == 'PENDING' or to == 'STARTED' then
    return false
  end
  local waiting, running = unpack(redis.call('HMGET', 'batch:' .. batch, 'PENDING', 'STARTED'))
  return (tonumber(waiting) or 0) + (tonumber(running) or 0) == 0
end

-- Write the fields (field, value, ...) of a task that changes its state to `to`, its state indices, its time to live and
-- its event, with `details` (field, value, ...). `now` is the time of the change, or when a new task is due. Return whether
-- this is the end of the last unfinished task of a batch.
-- `task` has id, owner, batch, tags, attempt and, unless it is new, its former status and the ids of its events.
local function enter_state(task, to, now, ttl, fields, details)
  local hash, id, owner, from = 'task:' .. task.id, task.id, task.owner, task.status
  if from then
    -- A first write that needs no memory: a full Redis then lets the rest of the script pass, and the task can end.
    redis.call('PEXPIRE', hash, ttl)
    redis.call('ZREM', 'tasks:' .. from, id)
  end
  redis.call('ZADD', 'tasks:' .. to, now, id)
  if owner then
    if from then
      redis.call('ZREM', 'tasks:' .. from .. ':' .. owner, id)
    end
    redis.call('ZADD', 'tasks:' .. to .. ':' .. owner, now, id)
  end
  local ends_batch = task.batch and count_in_batch(task.batch, from, to)
  details = details or {}
  if ends_batch then
    table.insert(details, 'ends_batch')
    table.insert(details, 1)
  end
  local event = log_event(task, 'status', to, unpack(details))
  if from then
    redis.call('HSET', hash, 'status', to, 'attempt', task.attempt, 'events', with_event(task.events, event), unpack(fields))
  else
    redis.call('HSET', hash, 'status', to, 'attempt', task.attempt, unpack(fields))
    redis.call('PEXPIRE', hash, ttl)
  end
  return ends_batch
end
