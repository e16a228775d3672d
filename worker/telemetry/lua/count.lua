-- Add the counts of a process to the totals and to the hashes of the current time spans.
-- KEYS  1 number of the last batch of this process, 2 totals, 3... hashes of the spans
-- args  number (of this batch), totals, charted (maps of field to amount for the totals and for the spans), maxima (map of
--       field to value for the spans, where the greater value stays), span_ttls_s (of each span's hash, in the order of KEYS)
local NUMBER_TTL_S = 3600 -- longer than any client repeats a command
if redis.call('GET', KEYS[1]) == tostring(args.number) then
  return -- the client repeats a command whose reply was lost
end
redis.call('SET', KEYS[1], args.number, 'EX', NUMBER_TTL_S)

local function add(hash, counts)
  for field, amount in pairs(counts) do
    redis.call('HINCRBY', hash, field, amount)
  end
end

add(KEYS[2], args.totals)
for i, ttl_s in ipairs(args.span_ttls_s) do
  add(KEYS[2 + i], args.charted)
  for field, value in pairs(args.maxima) do
    if value > tonumber(redis.call('HGET', KEYS[2 + i], field) or 0) then
      redis.call('HSET', KEYS[2 + i], field, value)
    end
  end
  redis.call('EXPIRE', KEYS[2 + i], ttl_s)
end
