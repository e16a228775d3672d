-- Lock due jobs for one worker, in their order, as far as nobody else holds them.
-- KEYS[1]  the queue, a sorted set of job ids scored with the time from which each is due (Unix ms)
-- ARGV     1 prefix of the lock keys, 2 how many to lock, 3 life of a lock (ms), 4 now (Unix ms), 5... job ids
-- Returns id, score, id, score, ... of the jobs locked.
local claimed = {}
for i = 5, #ARGV do
  if #claimed >= 2 * tonumber(ARGV[2]) then
    break
  end
  -- Since the ids were read a job may have been finished, or put off, by another worker.
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[4])
    and redis.call('SET', ARGV[1] .. ARGV[i], '1', 'NX', 'PX', ARGV[3]) then
    table.insert(claimed, ARGV[i])
    table.insert(claimed, score)
  end
end
return claimed
