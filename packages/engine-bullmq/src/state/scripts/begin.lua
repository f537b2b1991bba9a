-- Begins a run of a partition. Whoever ran it before can save nothing any more.
--
-- KEYS transfer, parts; ARGV part, worker. Reply: the state, and when it is `running` the number of the run, the list of
-- grains, the list of partitions that were split off, and the grain at which the run before was when its worker died:
-- `none` when it came to an end, nothing when it had not come to any.

local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' then return {state or 'gone'} end
local died = 'none'
if redis.call('HEXISTS', KEYS[2], 'b:' .. ARGV[1]) == 1 then died = redis.call('HGET', KEYS[2], 'a:' .. ARGV[1]) or '' end
local run = redis.call('HINCRBY', KEYS[2], 'r:' .. ARGV[1], 1)
redis.call('HSET', KEYS[2], 'w:' .. ARGV[1], ARGV[2], 'b:' .. ARGV[1], run)
redis.call('HDEL', KEYS[2], 'a:' .. ARGV[1])
redis.call('HDEL', KEYS[1], 'hint')
return {state, run, redis.call('HGET', KEYS[2], 'g:' .. ARGV[1]) or '[]', redis.call('HGET', KEYS[2], 'm:' .. ARGV[1]) or '[]', died}
