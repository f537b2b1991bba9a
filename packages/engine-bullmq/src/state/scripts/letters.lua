-- Cuts the dead letters of a grain to a position and writes more, if the run holds the partition: written twice, they
-- are there once.
--
-- KEYS parts, letters; ARGV part, run, position, then the letters. Reply: their number, or -1 when it does not hold it.

if redis.call('HGET', KEYS[1], 'r:' .. ARGV[1]) ~= ARGV[2] then return -1 end
local to = tonumber(ARGV[3])
if to == 0 then redis.call('DEL', KEYS[2]) else redis.call('LTRIM', KEYS[2], 0, to - 1) end
for i = 4, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
return redis.call('LLEN', KEYS[2])
