-- Takes a step from one of some states to another.
--
-- KEYS transfer; ARGV the new state, the error or nothing, then the states it may come from. Reply: the state before.

local state = redis.call('HGET', KEYS[1], 'state')
for i = 3, #ARGV do
  if state == ARGV[i] then
    redis.call('HSET', KEYS[1], 'state', ARGV[1])
    if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'error', ARGV[2]) end
  end
end
return state
