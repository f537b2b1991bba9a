-- Writes hashes, each whole or not at all, and says of each what became of it: 1 written, 0 there before, or the text of
-- an error.
--
-- KEYS the keys. ARGV the mode, and then for each key the number of its arguments, the command that makes it expire with
-- its time, or two empty texts, and its fields and values.

-- It does nothing but ask whether memory is full: Redis does not ask any more once a script has deleted something.
local probe = redis.pcall('SETRANGE', KEYS[1], 0, '')
if type(probe) == 'table' and probe.err and string.find(probe.err, 'OOM', 1, true) then return probe end

local outcomes = {}
local at = 2
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  local expire, ms = ARGV[at + 1], ARGV[at + 2]
  local first, last = at + 3, at + 2 + count
  at = last + 1
  if ARGV[1] ~= 'upsert' and redis.call('EXISTS', KEYS[i]) == 1 then
    outcomes[i] = 0
  else
    redis.call('DEL', KEYS[i])
    local outcome = 1
    -- A part at a time, since Lua unpacks no more than some thousand arguments.
    for from = first, last, 4000 do
      local reply = redis.pcall('HSET', KEYS[i], unpack(ARGV, from, math.min(from + 3999, last)))
      if type(reply) == 'table' and reply.err then outcome = reply.err end
    end
    if outcome == 1 and expire ~= '' then redis.call(expire, KEYS[i], ms) end
    outcomes[i] = outcome
  end
end
return outcomes
