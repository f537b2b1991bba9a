-- Enters the plan of a transfer, unless there is one: of two workers that planned at once, the first one's holds.
--
-- KEYS transfer, grains, parts; ARGV number of partitions, total, note, then the queries of the grains. Grain i belongs to
-- partition i modulo their number, so that a stretch of the source with more records than others is spread.

if redis.call('HEXISTS', KEYS[1], 'parts') == 1 then return 0 end
local parts = tonumber(ARGV[1])
local lists = {}
for i = 4, #ARGV do
  local grain = i - 4
  redis.call('HSET', KEYS[2], 'q:' .. grain, ARGV[i])
  local part = grain % parts
  lists[part] = lists[part] or {}
  lists[part][#lists[part] + 1] = grain
end
for part, list in pairs(lists) do redis.call('HSET', KEYS[3], 'g:' .. part, cjson.encode(list)) end
redis.call('HSET', KEYS[1], 'parts', parts, 'planned', parts, 'grains', #ARGV - 3)
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'expected', ARGV[2]) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'note', ARGV[3]) end
if redis.call('HGET', KEYS[1], 'state') == 'planning' then redis.call('HSET', KEYS[1], 'state', 'running') end
return 1
