-- Spends a number of records of an endpoint's rate.
--
-- KEYS rate; ARGV records, records per second, burst in ms. Reply: the time to wait before they may be moved, in ms.

local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local spent = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now - tonumber(ARGV[3]))
local wait = math.max(0, spent - now)
local until_ = spent + tonumber(ARGV[1]) * 1000 / tonumber(ARGV[2])
redis.call('SET', KEYS[1], string.format('%.3f', until_), 'PX', math.ceil(math.max(1, until_ - now) + 60000))
return math.ceil(wait)
