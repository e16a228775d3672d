-- Add the counts of a process to the totals and to the hashes of the current time spans.
-- KEYS  1 number of the last batch of this process, 2 totals, 3... hashes of the spans, then their hashes of groups
-- args  number (of this batch), totals, charted (maps of field to amount for the totals and for the spans), maxima (map of
--       field to value for the spans, where the greater value stays), grouped, group_maxima (the same for the groups),
--       span_ttls_s (of each span's hashes, in the order of KEYS)
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

local function raise(hash, maxima)
  for field, value in pairs(maxima) do
    if value > tonumber(redis.call('HGET', hash, field) or 0) then
      redis.call('HSET', hash, field, value)
    end
  end
end

add(KEYS[2], args.totals)
local spans = #args.span_ttls_s
for i, ttl_s in ipairs(args.span_ttls_s) do
  local charts, groups = KEYS[2 + i], KEYS[2 + spans + i]
  add(charts, args.charted)
  raise(charts, args.maxima)
  redis.call('EXPIRE', charts, ttl_s)
  add(groups, args.grouped)
  raise(groups, args.group_maxima)
  redis.call('EXPIRE', groups, ttl_s)
end
