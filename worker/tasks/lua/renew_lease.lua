-- Extend the lease of a running task, and arq's own lock if arq's own loop runs the task.
-- KEYS  1 leases, 2 arq's lock of the task
-- args  id, lease_ms
redis.call('ZADD', KEYS[1], server_ms() + args.lease_ms, args.id)
redis.call('SET', KEYS[2], '1', 'PX', args.lease_ms, 'XX')
