-- Keep a running task with its worker, and arq's own lock too where its own loop runs it.
-- KEYS[1]  the leases        KEYS[2]  arq's lock of the task        ARGV  1 task id, 2 length of a lease (ms)
redis.call('ZADD', KEYS[1], server_ms() + ARGV[2], ARGV[1])
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2], 'XX')
