-- Notes what is about to be done when records go one by one: if the process dies of it, this is what it died of.
--
-- KEYS grains, parts; ARGV part, run, grain, key of the record or nothing. Reply: 0 when the run does not hold the partition.

if redis.call('HGET', KEYS[2], 'r:' .. ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'x:' .. ARGV[3], ARGV[4])
return 1
