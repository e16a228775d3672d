-- Lock due jobs for one worker, the oldest first, as far as nobody else holds them.
-- KEYS[1]  the queue, a sorted set of job ids scored with the time from which each is due (Unix ms)
-- ARGV     1 prefix of the lock keys, 2 how many to lock, 3 life of a lock (ms), 4 now (Unix ms)
-- Returns id, score, id, score, ... of the jobs locked.
local claimed, first, batch = {}, 0, 100
repeat
  -- Running jobs stay in the queue, at its head: however many there are, those behind them must be found.
  local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'WITHSCORES', 'LIMIT', first, batch)
  for i = 1, #due, 2 do
    if #claimed >= 2 * tonumber(ARGV[2]) then
      return claimed
    end
    if redis.call('SET', ARGV[1] .. due[i], '1', 'NX', 'PX', ARGV[3]) then
      table.insert(claimed, due[i])
      table.insert(claimed, due[i + 1])
    end
  end
  first = first + batch
until #due < 2 * batch
return claimed
