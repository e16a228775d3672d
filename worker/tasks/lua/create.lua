-- Create PENDING tasks and queue them, all or none, unless the queue has no room for all of them.
-- KEYS  1 queue, 2 fetch queue, 3 idempotency key (if the request has one)
-- args  tasks (array of {id, spec (JSON), cost (expected), job, indices (sorted sets for the task, besides those of its
--       state), fetch_host (of the URL, if the upload must be fetched) or nil, reuse (digest, if it may have the results
--       of a task with the same) or nil}), priority, queue_group or nil, start_ms (earliest start) or nil, expires_in (s,
--       from when the tasks are due) or nil, tags (comma-separated) or nil, callback_url or nil, owner {name, limit or
--       nil, weight} or nil, batch {id, callback_url or nil, request_id} or nil, unfinished_ttl_ms, job_prefix,
--       wake_channel, queue_limit, events_kept, reuse_hold_ms (delay of a task that waits for the results of another),
--       idempotency {claim, record, ttl_ms} or nil: the claim that the key must have, the record that replaces it
-- Returns {waiting}; {waiting, recently ended} when the queue is full; {waiting, recently ended, 1} when the owner has
-- reached its limit, with the owner's numbers; {nil} when another request has the idempotency key.
local queue, fetch_queue, idempotency_key = unpack(KEYS)
if redis.call('EXISTS', 'task:' .. args.tasks[1].id) == 1 then
  return {0} -- the client repeats a command whose reply was lost
end
local now = server_ms()
local waiting = redis.call('ZCARD', 'tasks:PENDING')
if waiting + #args.tasks > args.queue_limit then
  return {waiting, count_recently_ended(now, '')}
end
local owner = args.owner and args.owner.name
if owner then
  local own = redis.call('ZCARD', 'tasks:PENDING:' .. owner)
  if own + #args.tasks > (args.owner.limit or args.queue_limit) then
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
if owner then
  redis.call('SADD', 'tasks:owners', owner)
end
if args.batch then
  local batch = 'batch:' .. args.batch.id
  redis.call('HSET', batch, 'created_ms', now, 'total', #args.tasks, 'request_id', args.batch.request_id)
  if owner then
    redis.call('HSET', batch, 'owner', owner)
  end
  if args.batch.callback_url then
    redis.call('HSET', batch, 'callback_url', args.batch.callback_url)
  end
  redis.call('PEXPIRE', batch, args.unfinished_ttl_ms)
end

local function create(new, number)
  local fields = {'created_ms', now, 'queued_ms', due, 'spec', new.spec, 'cost', new.cost}
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
  set('tags', args.tags)
  set('fetch', new.fetch_host and 1)
  set('host', new.fetch_host)
  local start = due
  if new.reuse then
    local key = 'reuse:' .. (owner or '') .. ':' .. new.reuse
    local original = original_of({id = new.id, priority = args.priority, expires_ms = args.expires_in}, key, now,
      args.unfinished_ttl_ms)
    set('reuse', key)
    set('reuse_of', original)
    start = original and math.max(due, now + args.reuse_hold_ms) or due
  end
  if args.batch then
    set('batch', args.batch.id)
    redis.call('ZADD', 'batch:' .. args.batch.id .. ':tasks', number, new.id)
  end
  if args.expires_in then
    set('expires_ms', due + args.expires_in * 1000)
    redis.call('ZADD', 'turns:timers', due + args.expires_in * 1000, 'expire:' .. new.id)
  end
  for _, index in ipairs(new.indices) do
    redis.call('ZADD', index, now, new.id)
  end
  redis.call('ZREM', 'uploads', new.id)
  redis.call('SET', args.job_prefix .. new.id, new.job, 'PX', args.unfinished_ttl_ms)
  redis.call('ZADD', new.fetch_host and fetch_queue or queue, start, new.id)
  local task = set_turn({
    id = new.id, attempt = 0, owner = owner, group = args.queue_group, priority = args.priority, fetch = new.fetch_host,
    cost = new.cost, weight = owner and args.owner.weight, batch = args.batch and args.batch.id,
    tags = args.tags,
  })
  local is_next = redis.call('EXISTS', 'turns:' .. task.line) == 0
  enter_turn(task, start, now)
  enter_state(task, 'PENDING', due, args.unfinished_ttl_ms, fields, position_detail(task))
  return is_next
end

local wakes = false
for number, new in ipairs(args.tasks) do
  wakes = create(new, number - 1) or wakes
end
if args.batch then
  redis.call('PEXPIRE', 'batch:' .. args.batch.id .. ':tasks', args.unfinished_ttl_ms)
end
if wakes then
  -- Otherwise every worker is busy and reads the queue when it becomes free, or has been woken already.
  redis.call('PUBLISH', args.wake_channel, '')
end
return {waiting}
