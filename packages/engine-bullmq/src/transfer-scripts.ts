import { Script } from "./script.ts";

/**
 * Enters a transfer under its id, unless there is one.
 *
 * KEYS transfer, index; ARGV id, spec, time, signature or nothing. Reply: 1 when it was entered.
 */
export const CREATE = new Script<number>(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'spec', ARGV[2], 'state', 'planning')
if ARGV[4] ~= '' then redis.call('HSET', KEYS[1], 'signature', ARGV[4]) end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
`);

/**
 * Enters the plan of a transfer, unless there is one: of two workers that planned at once, the first one's holds.
 *
 * KEYS transfer, grains, parts; ARGV number of partitions, total, note, then the queries of the grains. Grain i belongs to
 * partition i modulo their number, so that a stretch of the source with more records than others is spread.
 */
export const ENTER_PLAN = new Script<number>(`
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
`);

/**
 * Takes a step from one of some states to another.
 *
 * KEYS transfer; ARGV the new state, the error or nothing, then the states it may come from. Reply: the state before.
 */
export const STEP = new Script<string | null>(`
local state = redis.call('HGET', KEYS[1], 'state')
for i = 3, #ARGV do
  if state == ARGV[i] then
    redis.call('HSET', KEYS[1], 'state', ARGV[1])
    if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[2]) end
  end
end
return state
`);

/**
 * Takes a place at both endpoints, or renews it. A place that is not renewed in time is free again.
 *
 * KEYS limits, slots of the source, slots of the target; ARGV name of the source, name of the target, holder, lease in ms.
 * Reply: the name of the endpoint that is full, or nothing.
 */
export const TAKE_SLOTS = new Script<string | null>(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, 2 do
  local limits = redis.call('HGET', KEYS[1], ARGV[i])
  local most = limits and cjson.decode(limits).partitions
  if most then
    redis.call('ZREMRANGEBYSCORE', KEYS[1 + i], '-inf', now)
    if redis.call('ZCARD', KEYS[1 + i]) >= most and not redis.call('ZSCORE', KEYS[1 + i], ARGV[3]) then return ARGV[i] end
  end
end
for i = 1, 2 do
  redis.call('ZADD', KEYS[1 + i], now + tonumber(ARGV[4]), ARGV[3])
  redis.call('PEXPIRE', KEYS[1 + i], tonumber(ARGV[4]) * 2)
end
return nil
`);

/**
 * Spends a number of records of an endpoint's rate.
 *
 * KEYS rate; ARGV records, records per second, burst in ms. Reply: the time to wait before they may be moved, in ms.
 */
export const SPEND = new Script<number>(`
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local spent = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - tonumber(ARGV[3]))
local wait = math.max(0, spent - now)
local until_ = spent + tonumber(ARGV[1]) * 1000 / tonumber(ARGV[2])
redis.call('SET', KEYS[1], string.format('%.3f', until_), 'PX', math.ceil(math.max(1, until_ - now) + 60000))
return math.ceil(wait)
`);

/** Says that a worker is idle. KEYS idle; ARGV worker, how long in ms. */
export const SAY_IDLE = new Script<number>(`
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]), ARGV[1])
`);
