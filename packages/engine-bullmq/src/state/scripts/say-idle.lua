-- Says that a worker is idle. KEYS idle; ARGV worker, how long in ms.

local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2]), ARGV[1])
