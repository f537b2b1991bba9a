import { Script } from "./script.ts";

// Fields of the hash of grains: q:<i> the query, f:<i> the partition that began it, c:<i> the checkpoint, n:<i> the
// counts, d:<i> the run that finished it. In the hash of parts: g:<part> the list of its grains, r:<part> the number of
// its runs (the fence: of all who ever ran it only the last may save), m:<part> the partitions that were split off it,
// w:<part> who runs it, b:<part> the run that is under way, a:<part> the grain that it is at, k:<part> the deaths of
// processes before they came to any grain.
// Of deaths, in the hash of grains: k:<i> how many there were at the present place, z:<i> the number of records behind
// which that place is passed, x:<i> what is being done when records go one by one (the key of a record, or nothing while
// the next one is read), y:<i> what it died at last and with what weight, p:<i> the keys of the records to be set aside.

/**
 * Begins a run of a partition. Whoever ran it before can save nothing any more.
 *
 * KEYS transfer, parts; ARGV part, worker. Reply: the state, and when it is `running` the number of the run, the list of
 * grains, the list of partitions that were split off, and the grain at which the run before was when its worker died:
 * `none` when it came to an end, nothing when it had not come to any.
 */
export const BEGIN = new Script<[string, ...(string | number)[]]>(`
local state = redis.call('HGET', KEYS[1], 'state')
if state ~= 'running' then return {state or 'gone'} end
local died = 'none'
if redis.call('HEXISTS', KEYS[2], 'b:' .. ARGV[1]) == 1 then died = redis.call('HGET', KEYS[2], 'a:' .. ARGV[1]) or '' end
local run = redis.call('HINCRBY', KEYS[2], 'r:' .. ARGV[1], 1)
redis.call('HSET', KEYS[2], 'w:' .. ARGV[1], ARGV[2], 'b:' .. ARGV[1], run)
redis.call('HDEL', KEYS[2], 'a:' .. ARGV[1])
redis.call('HDEL', KEYS[1], 'hint')
return {state, run, redis.call('HGET', KEYS[2], 'g:' .. ARGV[1]) or '[]', redis.call('HGET', KEYS[2], 'm:' .. ARGV[1]) or '[]', died}
`);

/** Says that a run of a partition came to an end, whatever kind. KEYS parts; ARGV part, run. */
export const END = new Script<number>(`
if redis.call('HGET', KEYS[1], 'b:' .. ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], 'b:' .. ARGV[1], 'a:' .. ARGV[1])
`);

/**
 * Claims a grain for a run of a partition.
 *
 * KEYS transfer, grains, parts; ARGV part, run, grain. Reply: `fenced`, a state that is not `running`, `moved` to another
 * partition, `done`, or `ok` with the query, the checkpoint, the counts, the deaths and the list of keys to be set aside.
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
redis.call('HDEL', KEYS[2], 'x:' .. ARGV[3])
redis.call('HSET', KEYS[3], 'a:' .. ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[3], 'k:' .. ARGV[1])
local grain = redis.call('HMGET', KEYS[2], 'q:' .. ARGV[3], 'c:' .. ARGV[3], 'n:' .. ARGV[3], 'k:' .. ARGV[3], 'p:' .. ARGV[3])
return {'ok', grain[1], grain[2] or '', grain[3] or '', grain[4] or '0', grain[5] or '[]'}
`);

/**
 * Notes what is about to be done when records go one by one: if the process dies of it, this is what it died of.
 *
 * KEYS grains, parts; ARGV part, run, grain, key of the record or nothing. Reply: 0 when the run does not hold the partition.
 */
export const NOTE = new Script<number>(`
if redis.call('HGET', KEYS[2], 'r:' .. ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'x:' .. ARGV[3], ARGV[4])
return 1
`);

/**
 * Notes the death of a process that was at a grain. What was noted counts by its weight: one that the worker saw die is
 * proof enough, a worker that never came back may have had other reasons and must do so twice.
 *
 * KEYS grains; ARGV grain, records read until then or nothing, records beyond which the place is surely passed, weight.
 * Reply: the deaths at this place, and `open`, `noted`, `poison` with the key, or `unreadable`.
 */
export const DIED = new Script<[number, string, string?]>(`
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
`);

/**
 * Counts the deaths of processes that did a job of a transfer which is no partition. A run that began and never ended is one.
 *
 * KEYS transfer; ARGV the kind, and what happened: `begin`, `died`, `ended` or `done`. Reply: the deaths in a row.
 */
export const JOB_LIFE = new Script<number>(`
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local under, deaths = 'b:' .. ARGV[1], 'k:' .. ARGV[1]
local had = redis.call('HDEL', KEYS[1], under)
if ARGV[2] == 'begin' then
  redis.call('HSET', KEYS[1], under, '1')
  if had == 1 then redis.call('HINCRBY', KEYS[1], deaths, 1) end
end
if ARGV[2] == 'died' then redis.call('HINCRBY', KEYS[1], deaths, 1) end
if ARGV[2] == 'done' then redis.call('HDEL', KEYS[1], deaths) end
return tonumber(redis.call('HGET', KEYS[1], deaths) or '0')
`);

/**
 * Forgets the deaths of a transfer that is resumed, for who resumes it has seen to what killed them. What was set aside stays so.
 *
 * KEYS transfer, grains, parts.
 */
export const FORGET_DEATHS = new Script<number>(`
local forgotten = 0
for i, kinds in ipairs({'bk', 'kxyz', 'kba'}) do
  for _, field in ipairs(redis.call('HKEYS', KEYS[i])) do
    if string.match(field, '^[' .. kinds .. ']:') then forgotten = forgotten + redis.call('HDEL', KEYS[i], field) end
  end
end
return forgotten
`);

/**
 * Saves how far a grain has come, if the run still holds the partition, and adds the difference to the sums of the
 * transfer: saved twice, it counts once.
 *
 * KEYS transfer, grains, parts; ARGV part, run, grain, checkpoint, completed (1 or 0), then records read, total, success,
 * failure, skipped, retries. Reply: `fenced`, or the state with the sums of total and failure, and the records behind
 * which the place is passed where processes died, or nothing.
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
local place = redis.call('HGET', KEYS[2], 'z:' .. ARGV[3])
if place and (ARGV[5] == '1' or tonumber(now[1]) >= tonumber(place)) then
  redis.call('HDEL', KEYS[2], 'k:' .. ARGV[3], 'x:' .. ARGV[3], 'y:' .. ARGV[3], 'z:' .. ARGV[3])
  place = nil
elseif place and redis.call('HEXISTS', KEYS[2], 'x:' .. ARGV[3]) == 1 then
  redis.call('HSET', KEYS[2], 'x:' .. ARGV[3], '')
end
local sums = redis.call('HMGET', KEYS[1], 'n:total', 'n:failure')
return {state, sums[1] or '0', sums[2] or '0', place or ''}
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
