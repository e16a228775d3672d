-- Mark a running task to stop at its next step, and tell its worker.
-- KEYS[1]  the task's hash        ARGV  1 wake-up channel, 2 task id
-- Returns 1, or 0 when the task is not running.
if redis.call('HGET', KEYS[1], 'status') ~= 'STARTED' then
  return 0
end
redis.call('HSET', KEYS[1], 'cancel', 1)
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
