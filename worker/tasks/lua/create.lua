-- Create a PENDING task and queue it, both or neither, unless the queue is full.
-- KEYS  1 task hash, 2 job, 3 queue, 4 leases, 5 fetch queue, 6 idempotency key (if the request has one)
-- args  id, unfinished_ttl_ms, spec (JSON), job, wake_channel, queue_limit, events_kept,
--       fetch_host (of the URL, if the upload must be fetched) or nil, callback_url or nil, owner {name, limit or nil} or nil,
--       indices (sorted sets for the task, besides those of its state),
--       idempotency {claim, record, ttl_ms} or nil: the claim that the key must have, the record that replaces it
-- Returns {waiting}; {waiting, recently ended} when the queue is full; {waiting, recently ended, 1} when the owner has
-- reached its limit, with the owner's numbers; {nil} when another request has the idempotency key.
local hash, job, queue, _, fetch_queue, idempotency_key = unpack(KEYS)
if redis.call('EXISTS', hash) == 1 then
  return {0} -- the client repeats a command whose reply was lost
end
local now = server_ms()
local waiting = redis.call('ZCARD', 'tasks:PENDING')
if waiting >= args.queue_limit then
  return {waiting, count_recently_ended(now, '')}
end
local owner = args.owner and args.owner.name
if owner then
  local own = redis.call('ZCARD', 'tasks:PENDING:' .. owner)
  if own >= (args.owner.limit or args.queue_limit) then
    return {own, count_recently_ended(now, ':' .. owner), 1}
  end
end
if idempotency_key then
  local value = redis.call('GET', idempotency_key)
  if value and value ~= args.idempotency.claim then -- the claim has expired, and another request has the key
    return {false}
  end
  redis.call('SET', idempotency_key, args.idempotency.record, 'PX', args.idempotency.ttl_ms)
end
redis.call('HSET', hash, 'status', 'PENDING', 'attempt', 0, 'created_ms', now, 'queued_ms', now,
  'spec', args.spec)
if args.fetch_host then
  redis.call('HSET', hash, 'fetch', 1, 'host', args.fetch_host)
  queue = fetch_queue
end
if args.callback_url then
  redis.call('HSET', hash, 'callback_url', args.callback_url)
end
if owner then
  redis.call('HSET', hash, 'owner', owner)
  redis.call('SADD', 'tasks:owners', owner)
end
for _, index in ipairs(args.indices) do
  redis.call('ZADD', index, now, args.id)
end
enter_state(args.id, owner, false, 'PENDING', 0, now, args.unfinished_ttl_ms)
redis.call('ZREM', 'uploads', args.id)
redis.call('SET', job, args.job, 'PX', args.unfinished_ttl_ms)
local was_due = redis.call('ZCOUNT', queue, '-inf', now)
redis.call('ZADD', queue, now, args.id)
if waiting == 0 or was_due == 0 then
  -- Otherwise every worker is busy and reads the queue when it becomes free, or has been woken already.
  redis.call('PUBLISH', args.wake_channel, '')
end
return {waiting}
