-- Claims a grain for a run of a partition.
--
-- KEYS transfer, grains, parts; ARGV part, run, grain. Reply: `fenced`, a state that is not `running`, `moved` to another
-- partition, `done`, or `ok` with the query, the checkpoint, the counts, the deaths and the list of keys to be set aside.

if redis.call('HGET', KEYS[3], 'r:' .. ARGV[1]) ~= ARGV[2] then return {'fenced'} end
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' then return {state or 'gone'} end
local mine = false
for _, grain in ipairs(cjson.decode(redis.call('HGET', KEYS[3], 'g:' .. ARGV[1]) or '[]')) do
  if tostring(grain) == ARGV[3] then mine = true end
end
if not mine then return {'moved'} end
if redis.call('HEXISTS', KEYS[2], 'd:' .. ARGV[3]) == 1 then return {'done'} end
redis.call('HSET', KEYS[2], 'f:' .. ARGV[3], ARGV[1])
redis.call('HDEL', KEYS[2], 'x:' .. ARGV[3])
redis.call('HSET', KEYS[3], 'a:' .. ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], 'k:' .. ARGV[1])
local grain = redis.call('HMGET', KEYS[2], 'q:' .. ARGV[3], 'c:' .. ARGV[3], 'n:' .. ARGV[3], 'k:' .. ARGV[3], 'p:' .. ARGV[3])
return {'ok', grain[1], grain[2] or '', grain[3] or '', grain[4] or '0', grain[5] or '[]'}
