-- Choose the task whose results a waiting or starting task reuses.
-- KEYS  1 task hash, 2 its reuse key
-- args  id, gone (id of a task whose results no longer exist, or nil), ttl_ms
-- Returns the id of the task to reuse; nil if no task qualifies, or if the waiting task does not exist.
local hash, key = unpack(KEYS)
local status, priority, expires_ms = unpack(redis.call('HMGET', hash, 'status', 'priority', 'expires_ms'))
if not status then
  return false
end
local original = original_of({id = args.id, priority = priority, expires_ms = expires_ms}, key, server_ms(), args.ttl_ms, args.gone)
redis.call('HSET', hash, 'reuse', key, 'reuse_of', original or '')
return original
