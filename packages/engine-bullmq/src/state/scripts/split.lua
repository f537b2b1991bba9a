-- Gives half of the grains of a partition that nobody has begun to a new partition, if an idle worker is there for it.
--
-- KEYS transfer, grains, parts, idle; ARGV part, run. Reply: the new partition, or -1.

if redis.call('HGET', KEYS[3], 'r:' .. ARGV[1]) ~= ARGV[2] or redis.call('HGET', KEYS[1], 'state') ~= 'running' then return -1 end
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', time[1] * 1000 + math.floor(time[2] / 1000))
if redis.call('ZCARD', KEYS[4]) == 0 then return -1 end
local kept, open = {}, {}
for _, grain in ipairs(cjson.decode(redis.call('HGET', KEYS[3], 'g:' .. ARGV[1]) or '[]')) do
  if redis.call('HEXISTS', KEYS[2], 'f:' .. grain) == 1 then kept[#kept + 1] = grain else open[#open + 1] = grain end
end
if #open == 0 then return -1 end
redis.call('ZPOPMIN', KEYS[4])
local given = {}
for i, grain in ipairs(open) do
  if i <= math.floor(#open / 2) then kept[#kept + 1] = grain else given[#given + 1] = grain end
end
local part = redis.call('HINCRBY', KEYS[1], 'parts', 1) - 1
local made = cjson.decode(redis.call('HGET', KEYS[3], 'm:' .. ARGV[1]) or '[]')
made[#made + 1] = part
redis.call('HSET', KEYS[3], 'g:' .. ARGV[1], cjson.encode(kept), 'g:' .. part, cjson.encode(given), 'm:' .. ARGV[1], cjson.encode(made))
return part
