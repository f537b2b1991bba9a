import { Script } from "./script.ts";

// Fields of the hash of grains: q:<i> the query, f:<i> the partition that began it, c:<i> the checkpoint, n:<i> the
// counts, d:<i> the run that finished it. In the hash of parts: g:<part> the list of its grains, r:<part> the number of
// its runs (the fence: of all who ever ran it only the last may save), m:<part> the partitions that were split off it,
// w:<part> who runs it.

/**
 * Begins a run of a partition. Whoever ran it before can save nothing any more.
 *
 * KEYS transfer, parts; ARGV part, worker. Reply: the state, and when it is `running` the number of the run, the list of
 * grains and the list of partitions that were split off.
 */
export const BEGIN = new Script<[string, ...(string | number)[]]>(`
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' then return {state or 'gone'} end
local run = redis.call('HINCRBY', KEYS[2], 'r:' .. ARGV[1], 1)
redis.call('HSET', KEYS[2], 'w:' .. ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[1], 'hint')
return {state, run, redis.call('HGET', KEYS[2], 'g:' .. ARGV[1]) or '[]', redis.call('HGET', KEYS[2], 'm:' .. ARGV[1]) or '[]'}
`);

/**
 * Claims a grain for a run of a partition.
 *
 * KEYS transfer, grains, parts; ARGV part, run, grain. Reply: `fenced`, a state that is not `running`, `moved` to another
 * partition, `done`, or `ok` with the query, the checkpoint and the counts.
 */
export const CLAIM = new Script<[string, ...string[]]>(`
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
local grain = redis.call('HMGET', KEYS[2], 'q:' .. ARGV[3], 'c:' .. ARGV[3], 'n:' .. ARGV[3])
return {'ok', grain[1], grain[2] or '', grain[3] or ''}
`);

/**
 * Saves how far a grain has come, if the run still holds the partition, and adds the difference to the sums of the
 * transfer: saved twice, it counts once.
 *
 * KEYS transfer, grains, parts; ARGV part, run, grain, checkpoint, completed (1 or 0), then records read, total, success,
 * failure, skipped, retries. Reply: `fenced`, or the state with the sums of total and failure.
 */
export const SAVE = new Script<[string, ...string[]]>(`
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
local sums = redis.call('HMGET', KEYS[1], 'n:total', 'n:failure')
return {state, sums[1] or '0', sums[2] or '0'}
`);

/**
 * Forgets the progress of a grain, for a source that cannot be read on from a cursor.
 *
 * KEYS transfer, grains, parts; ARGV part, run, grain. Reply: 0 when the run does not hold the partition.
 */
export const FORGET = new Script<number>(`
if redis.call('HGET', KEYS[3], 'r:' .. ARGV[1]) ~= ARGV[2] then return 0 end
local names = {'records', 'total', 'success', 'failure', 'skipped', 'retry'}
local i = 0
for number in string.gmatch(redis.call('HGET', KEYS[2], 'n:' .. ARGV[3]) or '', '%d+') do
  i = i + 1
  redis.call('HINCRBY', KEYS[1], 'n:' .. names[i], -tonumber(number))
end
redis.call('HDEL', KEYS[2], 'n:' .. ARGV[3], 'c:' .. ARGV[3])
return 1
`);

/**
 * Gives half of the grains of a partition that nobody has begun to a new partition, if an idle worker is there for it.
 *
 * KEYS transfer, grains, parts, idle; ARGV part, run. Reply: the new partition, or -1.
 */
export const SPLIT = new Script<number>(`
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
`);

/**
 * Cuts the dead letters of a grain to a position and writes more, if the run holds the partition: written twice, they
 * are there once.
 *
 * KEYS parts, letters; ARGV part, run, position, then the letters. Reply: their number, or -1 when it does not hold it.
 */
export const LETTERS = new Script<number>(`
if redis.call('HGET', KEYS[1], 'r:' .. ARGV[1]) ~= ARGV[2] then return -1 end
local to = tonumber(ARGV[3])
if to == 0 then redis.call('DEL', KEYS[2]) else redis.call('LTRIM', KEYS[2], 0, to - 1) end
for i = 4, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[i]) end
return redis.call('LLEN', KEYS[2])
`);
