-- Leases in one hash, by the server's clock. It expires with the last of them.
--
-- KEYS the hash. ARGV 'take', the name, run, owner, holder, the term in ms, and '1' to renew alone; or 'release', the name, run.
-- Says: nothing when the run holds it, or who holds it and for how many ms.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local name, run = ARGV[2], ARGV[3]
local last = 0
local there

local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local held, lease = all[i], cjson.decode(all[i + 1])
  if lease['until'] <= now then
    redis.call('HDEL', KEYS[1], held)
  elseif held == name then
    there = lease
  else
    last = math.max(last, lease['until'])
  end
end

if ARGV[1] == 'release' then
  if there and there.run == run then redis.call('HDEL', KEYS[1], name) end
  return false
end
if there and there.run ~= run and (ARGV[7] == '1' or there.owner ~= ARGV[4]) then
  return { there.holder, there['until'] - now }
end
local ends = now + tonumber(ARGV[6])
redis.call('HSET', KEYS[1], name, cjson.encode({ run = run, owner = ARGV[4], holder = ARGV[5], ['until'] = ends }))
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.max(last, ends)))
return false
