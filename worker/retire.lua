-- Take an ended task out of everything, and note that its files are to go; a task that may still run stays.
-- KEYS[1]  the task's hash    KEYS[2]  its job key    KEYS[3]  the queue    KEYS[4]  the leases    KEYS[5]  the fetch queue
-- ARGV     1 task id, 2... names of the indices that may hold it
-- Returns 1, or 0 when the task has not ended.
local status = redis.call('HGET', KEYS[1], 'status')
if status == 'PENDING' or status == 'STARTED' then
  return 0
end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
for i = 2, #ARGV do
  redis.call('ZREM', ARGV[i], ARGV[1])
end
redis.call('ZADD', 'uploads', 1, ARGV[1])
return 1
