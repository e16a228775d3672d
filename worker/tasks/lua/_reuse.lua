-- Tasks that reuse results: those of an equal task of the same owner.
--   reuse:<owner>:<digest>  task with this digest -> when it was created, or had ended (Unix ms)
--   reuse:of:<task>         the tasks that wait for the results of this one

local MOST_EQUALS = 10

-- Return the task whose results a task reuses, at best one that has ended, and let it wait for that; nil if there is
-- none, and others may wait for this one. `gone` is a task whose results are deleted.
local function original_of(id, key, now, ttl_ms, gone)
  local unfinished
  for _, other in ipairs(redis.call('ZREVRANGE', key, 0, MOST_EQUALS)) do
    local status = other ~= gone and redis.call('HGET', 'task:' .. other, 'status')
    if other == id then
      status = nil
    elseif status == 'SUCCESS' then
      return other
    elseif status == 'PENDING' or status == 'STARTED' then
      unfinished = other
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
