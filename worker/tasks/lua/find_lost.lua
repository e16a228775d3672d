-- Return those of some unfinished tasks that nothing would start or finish: they have no lease that has not expired, and
-- no turn or no entry in arq's queue.
-- KEYS  1 queue, 2 fetch queue, 3 leases
-- args  ids
local queue, fetch_queue, leases = unpack(KEYS)
local lost, now = {}, server_ms()
for _, id in ipairs(args.ids) do
  local has_turn = redis.call('ZSCORE', task_of(id).tasks, id)
    or redis.call('ZSCORE', 'turns:timers', 'start:' .. id)
  local is_queued = redis.call('ZSCORE', queue, id) or redis.call('ZSCORE', fetch_queue, id)
  local expiry = redis.call('ZSCORE', leases, id)
  if not (has_turn and is_queued) and not (expiry and tonumber(expiry) > now) then
    table.insert(lost, id)
  end
end
return lost
