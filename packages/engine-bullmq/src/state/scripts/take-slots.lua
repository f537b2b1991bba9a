-- Takes a place at both endpoints, or renews it. A place that is not renewed in time is free again.
--
-- KEYS limits, slots of the source, slots of the target; ARGV name of the source, name of the target, holder, lease in ms.
-- Reply: the name of the endpoint that is full, or nothing.

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
