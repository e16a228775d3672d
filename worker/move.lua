-- Move one task to another state if the transitions table allows it, with its index entries, in one atomic step.
-- KEYS[1]  the task's hash
-- ARGV     1 task id, 2 target state, 3 now (Unix ms), 4 time to live from now (ms),
--          5 the attempt that moves it, '' for any, 6 the states it may come from (blank on both sides of each),
--          7... field, value pairs to set
-- Returns the whole hash after the move; {'WRONG', state, attempt} when it is not allowed; {} when there is no task.
local hash, id, target, now, ttl = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local status, attempt = unpack(redis.call('HMGET', hash, 'status', 'attempt'))
if not status then
  return {}
end
if not string.find(ARGV[6], ' ' .. status .. ' ', 1, true) or (ARGV[5] ~= '' and ARGV[5] ~= attempt) then
  return {'WRONG', status, attempt}
end
if target == 'STARTED' then
  redis.call('HINCRBY', hash, 'attempt', 1)
end
redis.call('HSET', hash, 'status', target, unpack(ARGV, 7))
redis.call('PEXPIRE', hash, ttl)
redis.call('ZREM', 'tasks:' .. status, id)
redis.call('ZADD', 'tasks:' .. target, now, id)
return redis.call('HGETALL', hash)
