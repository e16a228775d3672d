-- Delete an idempotency key if it still has this claim.
-- KEYS  1 idempotency key
-- args  claim
if redis.call('GET', KEYS[1]) == args.claim then
  redis.call('DEL', KEYS[1])
end
