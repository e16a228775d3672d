-- Store and publish the steps that a running attempt has completed.
-- KEYS  1 task hash
-- args  id, attempt, steps (JSON), progress (0 to 1, as text), events_kept
local status, attempt, owner, events = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'owner', 'events'))
if status ~= 'STARTED' or attempt ~= tostring(args.attempt) then
  return
end
local event = log_event(args.id, owner, attempt, 'steps', args.steps)
redis.call('HSET', KEYS[1], 'progress', args.progress, 'events', with_event(events, event))
