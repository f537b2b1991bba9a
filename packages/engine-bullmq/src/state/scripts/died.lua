-- Notes the death of a process that was at a grain. What was noted counts by its weight: one that the worker saw die is
-- proof enough, a worker that never came back may have had other reasons and must do so twice.
--
-- KEYS grains; ARGV grain, records read until then or nothing, records beyond which the place is surely passed, weight.
-- Reply: the deaths at this place, and `open`, `noted`, `poison` with the key, or `unreadable`.

local grain = ARGV[1]
if redis.call('HEXISTS', KEYS[1], 'd:' .. grain) == 1 then return {0, 'open'} end
local saved = tonumber(string.match(redis.call('HGET', KEYS[1], 'n:' .. grain) or '', '^%d+') or '0')
local place = math.max(tonumber(ARGV[2]) or saved, saved) + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'z:' .. grain, math.max(tonumber(redis.call('HGET', KEYS[1], 'z:' .. grain) or '0'), place))
local deaths = redis.call('HINCRBY', KEYS[1], 'k:' .. grain, 1)
local noted = redis.call('HGET', KEYS[1], 'x:' .. grain)
if not noted then return {deaths, 'open'} end
local weight = tonumber(ARGV[4])
local times, last = string.match(redis.call('HGET', KEYS[1], 'y:' .. grain) or '', '^(%d+) (.*)$')
if times and last == noted then weight = weight + tonumber(times) end
redis.call('HSET', KEYS[1], 'y:' .. grain, weight .. ' ' .. noted)
if weight < 2 then return {deaths, 'noted'} end
redis.call('HDEL', KEYS[1], 'x:' .. grain, 'y:' .. grain)
if noted == '' then return {deaths, 'unreadable'} end
local list = cjson.decode(redis.call('HGET', KEYS[1], 'p:' .. grain) or '[]')
list[#list + 1] = noted
redis.call('HSET', KEYS[1], 'p:' .. grain, cjson.encode(list))
return {deaths, 'poison', noted}
