-- Saves how far a grain has come, if the run still holds the partition, and adds the difference to the sums of the
-- transfer: saved twice, it counts once.
--
-- KEYS transfer, grains, parts; ARGV part, run, grain, checkpoint, completed (1 or 0), then records read, total, success,
-- failure, skipped, retries. Reply: `fenced`, or the state with the sums of total and failure, and the records behind
-- which the place is passed where processes died, or nothing.

if redis.call('HGET', KEYS[3], 'r:' .. ARGV[1]) ~= ARGV[2] then return {'fenced'} end
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return {'gone'} end
local run = ARGV[1] .. '.' .. ARGV[2]
local done = redis.call('HGET', KEYS[2], 'd:' .. ARGV[3])
if redis.call('HGET', KEYS[2], 'f:' .. ARGV[3]) ~= ARGV[1] or (done and done ~= run) then return {'fenced'} end
local names = {'records', 'total', 'success', 'failure', 'skipped', 'retry'}
local before = {}
for number in string.gmatch(redis.call('HGET', KEYS[2], 'n:' .. ARGV[3]) or '', '%d+') do before[#before + 1] = tonumber(number) end
local now = {}
for i, name in ipairs(names) do
  now[i] = ARGV[5 + i]
  local more = tonumber(now[i]) - (before[i] or 0)
  if more ~= 0 then redis.call('HINCRBY', KEYS[1], 'n:' .. name, more) end
end
redis.call('HSET', KEYS[2], 'n:' .. ARGV[3], table.concat(now, ' '))
if ARGV[5] == '1' then
  redis.call('HDEL', KEYS[2], 'c:' .. ARGV[3])
  if not done then
    redis.call('HSET', KEYS[2], 'd:' .. ARGV[3], run)
    redis.call('HINCRBY', KEYS[1], 'done', 1)
  end
else
  redis.call('HSET', KEYS[2], 'c:' .. ARGV[3], ARGV[4])
end
local place = redis.call('HGET', KEYS[2], 'z:' .. ARGV[3])
if place and (ARGV[5] == '1' or tonumber(now[1]) >= tonumber(place)) then
  redis.call('HDEL', KEYS[2], 'k:' .. ARGV[3], 'x:' .. ARGV[3], 'y:' .. ARGV[3], 'z:' .. ARGV[3])
  place = nil
elseif place and redis.call('HEXISTS', KEYS[2], 'x:' .. ARGV[3]) == 1 then
  redis.call('HSET', KEYS[2], 'x:' .. ARGV[3], '')
end
local sums = redis.call('HMGET', KEYS[1], 'n:total', 'n:failure')
return {state, sums[1] or '0', sums[2] or '0', place or ''}
