-- Let go of a key, if this claim to it still stands.
-- KEYS[1]  the key        ARGV  1 the claim
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
