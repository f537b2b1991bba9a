-- Forgets the progress of a grain, for a source that cannot be read on from a cursor.
--
-- KEYS transfer, grains, parts; ARGV part, run, grain. Reply: 0 when the run does not hold the partition.

if redis.call('HGET', KEYS[3], 'r:' .. ARGV[1]) ~= ARGV[2] then return 0 end
local names = {'records', 'total', 'success', 'failure', 'skipped', 'retry'}
local i = 0
for number in string.gmatch(redis.call('HGET', KEYS[2], 'n:' .. ARGV[3]) or '', '%d+') do
  i = i + 1
  redis.call('HINCRBY', KEYS[1], 'n:' .. names[i], -tonumber(number))
end
redis.call('HDEL', KEYS[2], 'n:' .. ARGV[3], 'c:' .. ARGV[3])
return 1
