-- Extend the lease of a running task, and arq's own lock if arq's own loop runs the task.
-- KEYS  1 leases, 2 arq's lock of the task, 3 task hash
-- args  id, lease_ms, attempt (the only one that may do this, or nil for arq's own loop, before it starts the task)
redis.call('SET', KEYS[2], '1', 'PX', args.lease_ms, 'XX')
local status, attempt = unpack(redis.call('HMGET', KEYS[3], 'status', 'attempt'))
if not args.attempt or (status == 'STARTED' and attempt == tostring(args.attempt)) then
  redis.call('ZADD', KEYS[1], server_ms() + args.lease_ms, args.id)
end
