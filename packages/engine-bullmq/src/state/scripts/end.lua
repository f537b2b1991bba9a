-- Says that a run of a partition came to an end, whatever kind. KEYS parts; ARGV part, run.

if redis.call('HGET', KEYS[1], 'b:' .. ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], 'b:' .. ARGV[1], 'a:' .. ARGV[1])
