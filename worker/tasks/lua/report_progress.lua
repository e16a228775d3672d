-- Store and publish the steps that a running attempt has completed.
-- KEYS  1 task hash
-- args  id, attempt, steps (JSON), progress (0 to 1, as text), events_kept
local status, attempt, owner, batch, events =
  unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'owner', 'batch', 'events'))
if status ~= 'STARTED' or attempt ~= tostring(args.attempt) then
  return
end
local event = log_event({id = args.id, attempt = attempt, owner = owner, batch = batch}, 'steps', args.steps)
redis.call('HSET', KEYS[1], 'progress', args.progress, 'events', with_event(events, event))
