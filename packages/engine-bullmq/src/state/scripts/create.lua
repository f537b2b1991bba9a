-- Enters a transfer under its id, unless there is one.
--
-- KEYS transfer, index; ARGV id, spec, time, signature or nothing. Reply: 1 when it was entered.

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'spec', ARGV[2], 'state', 'planning')
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'signature', ARGV[4]) end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
