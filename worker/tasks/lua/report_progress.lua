-- Tell what a running attempt has done so far.
-- KEYS[1]  the task's hash
-- ARGV     1 task id, 2 attempt, 3 steps (JSON), 4 how much is done, from 0 to 1, 5 how many events are kept
local status, attempt, owner = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'owner'))
if status ~= 'STARTED' or attempt ~= ARGV[2] then
  return
end
redis.call('HSET', KEYS[1], 'progress', ARGV[4])
log(ARGV[1], owner, ARGV[2], ARGV[5], 'steps', ARGV[3])
