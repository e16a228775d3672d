-- Add what a process has counted to the totals and to the hashes of the current spans of time.
-- KEYS[1]  the number of the parcel that the process sent last    KEYS[2]  the totals    KEYS[3...]  the spans' hashes
-- ARGV     1 the parcel's number, 2 how many of the fields, the first ones, go to the spans too, then for each span the
--          life of its hash (s), then field, amount, ...
local FORGOTTEN_S = 3600 -- longer than any client repeats a command
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return -- the client repeats a command whose reply it lost
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', FORGOTTEN_S)
local first = #KEYS + 1 -- two numbers, then as many as there are spans
for i = first, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1])
end
for k = 3, #KEYS do
  for i = first, first + 2 * ARGV[2] - 1, 2 do
    redis.call('HINCRBY', KEYS[k], ARGV[i], ARGV[i + 1])
  end
  redis.call('EXPIRE', KEYS[k], ARGV[k])
end
