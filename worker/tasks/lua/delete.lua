-- Delete the record and the index entries of an ended task, and list its files for deletion.
-- KEYS  1 task hash, 2 job, 3 queue, 4 leases, 5 fetch queue
-- args  id, indices (those that may contain the task, without the owners')
-- Returns 1, or 0 when the task has not ended.
local hash, job, queue, leases, fetch_queue = unpack(KEYS)
local status, owner, batch = unpack(redis.call('HMGET', hash, 'status', 'owner', 'batch'))
if status == 'PENDING' or status == 'STARTED' then
  return 0
end
-- A record that is gone does not name its owner: then search all owners, of whom there are as many as API keys.
local owners = owner and {owner} or (status and {} or redis.call('SMEMBERS', 'tasks:owners'))
redis.call('DEL', hash, job)
for _, set in ipairs({queue, leases, fetch_queue}) do
  redis.call('ZREM', set, args.id)
end
for _, index in ipairs(args.indices) do
  redis.call('ZREM', index, args.id)
end
for _, each in ipairs(owners) do
  if redis.call('ZSCORE', 'tasks:created:' .. each, args.id) then
    for _, index in ipairs(args.indices) do
      redis.call('ZREM', index .. ':' .. each, args.id)
    end
    if redis.call('EXISTS', 'tasks:created:' .. each) == 0 then
      redis.call('SREM', 'tasks:owners', each)
      redis.call('DEL', 'tasks:events:' .. each)
    end
  end
end
if batch then
  redis.call('ZREM', 'batch:' .. batch .. ':tasks', args.id)
  redis.call('ZREM', 'tasks:batch:' .. batch, args.id)
  redis.call('HINCRBY', 'batch:' .. batch, status, -1)
  if redis.call('EXISTS', 'batch:' .. batch .. ':tasks') == 0 then
    redis.call('DEL', 'batch:' .. batch)
  end
end
redis.call('ZADD', 'uploads', 1, args.id)
return 1
