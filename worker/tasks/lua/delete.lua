-- Take an ended task out of everything, and note that its files are to go; a task that may still run stays.
-- KEYS[1]  the task's hash    KEYS[2]  its job key    KEYS[3]  the queue    KEYS[4]  the leases    KEYS[5]  the fetch queue
-- ARGV     1 task id, 2... names of the indices that may hold it
-- Returns 1, or 0 when the task has not ended.
local status, owner = unpack(redis.call('HMGET', KEYS[1], 'status', 'owner'))
if status == 'PENDING' or status == 'STARTED' then
  return 0
end
-- With its record its owner is forgotten, so that it is looked for: there are as many owners as keys, and rarely more.
local owners = owner and {owner} or (status and {} or redis.call('SMEMBERS', 'tasks:owners'))
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
for i = 2, #ARGV do
  redis.call('ZREM', ARGV[i], ARGV[1])
end
for _, each in ipairs(owners) do
  if redis.call('ZSCORE', 'tasks:created:' .. each, ARGV[1]) then
    for i = 2, #ARGV do
      redis.call('ZREM', ARGV[i] .. ':' .. each, ARGV[1])
    end
    if redis.call('EXISTS', 'tasks:created:' .. each) == 0 then
      redis.call('SREM', 'tasks:owners', each)
    end
  end
end
redis.call('ZADD', 'uploads', 1, ARGV[1])
return 1
