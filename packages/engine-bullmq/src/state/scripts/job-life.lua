-- Counts the deaths of processes that did a job of a transfer which is no partition. A run that began and never ended is one.
--
-- KEYS transfer; ARGV the kind, and what happened: `begin`, `died`, `ended` or `done`. Reply: the deaths in a row.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local under, deaths = 'b:' .. ARGV[1], 'k:' .. ARGV[1]
local had = redis.call('HDEL', KEYS[1], under)
if ARGV[2] == 'begin' then
  redis.call('HSET', KEYS[1], under, '1')
  if had == 1 then redis.call('HINCRBY', KEYS[1], deaths, 1) end
end
if ARGV[2] == 'died' then redis.call('HINCRBY', KEYS[1], deaths, 1) end
if ARGV[2] == 'done' then redis.call('HDEL', KEYS[1], deaths) end
return tonumber(redis.call('HGET', KEYS[1], deaths) or '0')
