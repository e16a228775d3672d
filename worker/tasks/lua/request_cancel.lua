-- Mark a running task to stop at its next step, and notify its worker.
-- KEYS  1 task hash
-- args  id, wake_channel
-- Returns 1, or 0 when the task is not running.
if redis.call('HGET', KEYS[1], 'status') ~= 'STARTED' then
  return 0
end
redis.call('HSET', KEYS[1], 'cancel', 1)
redis.call('PUBLISH', args.wake_channel, args.id)
return 1
