-- Create a PENDING task and queue it, both or neither, unless the queue is full.
-- KEYS  1 task hash, 2 job, 3 queue, 4 leases, 5 fetch queue, 6 idempotency key (if the request has one)
-- args  id, cost (expected), priority, queue_group or nil, start_ms (earliest start) or nil, expires_in (s, from when the
--       task is due) or nil, unfinished_ttl_ms, spec (JSON), job, wake_channel, queue_limit, events_kept,
--       fetch_host (of the URL, if the upload must be fetched) or nil, callback_url or nil, owner {name, limit or nil, weight} or nil,
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
local due = math.max(now, args.start_ms or 0)
local fields = {'created_ms', now, 'queued_ms', due, 'spec', args.spec, 'cost', args.cost}
local function set(field, value)
  if value then
    table.insert(fields, field)
    table.insert(fields, value)
  end
end
set('callback_url', args.callback_url)
set('owner', owner)
set('weight', owner and args.owner.weight > 1 and args.owner.weight)
set('group', args.queue_group)
set('priority', args.priority ~= 'normal' and args.priority)
set('fetch', args.fetch_host and 1)
set('host', args.fetch_host)
if args.expires_in then
  set('expires_ms', due + args.expires_in * 1000)
  redis.call('ZADD', 'turns:timers', due + args.expires_in * 1000, 'expire:' .. args.id)
end
if owner then
  redis.call('SADD', 'tasks:owners', owner)
end
for _, index in ipairs(args.indices) do
  redis.call('ZADD', index, now, args.id)
end
redis.call('ZREM', 'uploads', args.id)
redis.call('SET', job, args.job, 'PX', args.unfinished_ttl_ms)
redis.call('ZADD', args.fetch_host and fetch_queue or queue, due, args.id)
local task = set_turn({
  id = args.id, attempt = 0, owner = owner, group = args.queue_group, priority = args.priority, fetch = args.fetch_host,
  cost = args.cost, weight = owner and args.owner.weight,
})
local is_next = redis.call('EXISTS', 'turns:' .. task.line) == 0
enter_turn(task, due, now)
enter_state(task, 'PENDING', due, args.unfinished_ttl_ms, fields, position_detail(task))
if is_next then
  -- Otherwise every worker is busy and reads the queue when it becomes free, or has been woken already.
  redis.call('PUBLISH', args.wake_channel, '')
end
return {waiting}
