-- Record that the files of an upload may exist, until a task is created for it.
-- KEYS  1 uploads
-- args  id
redis.call('ZADD', KEYS[1], server_ms(), args.id)
