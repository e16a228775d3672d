-- Tasks that reuse results: those of an equal task of the same owner.
--   reuse:<owner>:<digest>  task with this digest -> when it was created, or had ended (Unix ms)
--   reuse:of:<task>         the tasks that wait for the results of this one
-- It uses the priorities of `_turns.lua`.

local MOST_EQUALS = 10

-- Whether a task would have its results from another that waits no later than if it was processed itself.
local function may_wait_for(other, status, priority)
  if status == 'STARTED' then
    return true
  end
  local its_priority = redis.call('HGET', 'task:' .. other, 'priority') or 'normal'
  return PRIORITIES[its_priority] <= PRIORITIES[priority or 'normal'] and not redis.call('ZSCORE', 'turns:timers', 'start:' .. other)
end

-- Return the id of the task whose results a task {id, priority, expires_ms} reuses, preferably one that has ended, and
-- record that it waits for that task. Return nil if there is no such task; others may then wait for this one. Tasks with
-- a deadline never wait. `gone` is the id of a task whose results no longer exist.
local function original_of(task, key, now, ttl_ms, gone)
  local id, unfinished = task.id, nil
  for _, other in ipairs(redis.call('ZREVRANGE', key, 0, MOST_EQUALS)) do
    local status = other ~= gone and redis.call('HGET', 'task:' .. other, 'status')
    if other == id then
      status = nil
    elseif status == 'SUCCESS' then
      return other
    elseif status == 'PENDING' or status == 'STARTED' then
      if not task.expires_ms and may_wait_for(other, status, task.priority) then
        unfinished = other
      end
    else
      redis.call('ZREM', key, other)
    end
  end
  if unfinished then
    redis.call('SADD', 'reuse:of:' .. unfinished, id)
    redis.call('PEXPIRE', 'reuse:of:' .. unfinished, ttl_ms)
    return unfinished
  end
  redis.call('ZADD', key, now, id)
  redis.call('ZREMRANGEBYRANK', key, 0, -MOST_EQUALS - 1)
  redis.call('PEXPIRE', key, ttl_ms)
end
