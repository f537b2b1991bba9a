-- Compare-and-delete: deletes the keys that hold what was read of them, each in one step. Says of each: 1 deleted,
-- 0 absent, 2 another value or time to live than was read, or the text of an error.
--
-- KEYS the keys. ARGV the command that tells when a key expires, and then for each key: its type ('dump' for a value
-- that was read as one), when it expires (-1 never, nothing where that does not count), the number of its parts, and these.

local at = 1

local function same_parts(found, count)
  if #found ~= count then return false end
  for i = 1, count do
    if found[i] ~= ARGV[at + i] then return false end
  end
  return true
end

local holds = {}

function holds.string(key) return redis.call('GET', key) == ARGV[at + 1] end

function holds.dump(key) return redis.call('DUMP', key) == ARGV[at + 1] end

function holds.list(key, count) return same_parts(redis.call('LRANGE', key, 0, -1), count) end

function holds.set(key, count)
  local found = {}
  local members = redis.call('SMEMBERS', key)
  for _, member in ipairs(members) do found[member] = true end
  if #members ~= count then return false end
  for i = 1, count do
    if not found[ARGV[at + i]] then return false end
  end
  return true
end

function holds.hash(key, count)
  local found = {}
  local parts = redis.call('HGETALL', key)
  for i = 1, #parts, 2 do found[parts[i]] = parts[i + 1] end
  if #parts ~= count then return false end
  for i = 1, count, 2 do
    if found[ARGV[at + i]] ~= ARGV[at + i + 1] then return false end
  end
  return true
end

-- Members and scores; one score may be written in several ways.
function holds.zset(key, count)
  local parts = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  if #parts ~= count then return false end
  for i = 1, count, 2 do
    if parts[i] ~= ARGV[at + i] or tonumber(parts[i + 1]) ~= tonumber(ARGV[at + i + 1]) then return false end
  end
  return true
end

-- Of each entry its id, the number of its parts, and these.
function holds.stream(key, count)
  local flat = {}
  for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
    flat[#flat + 1] = entry[1]
    flat[#flat + 1] = tostring(#entry[2])
    for _, part in ipairs(entry[2]) do flat[#flat + 1] = part end
  end
  return same_parts(flat, count)
end

local function same_expiry(key, expected)
  if expected == '' then return true end
  local found = redis.call(ARGV[1], key)
  -- PTTL tells what is left, which is another with each look.
  if ARGV[1] == 'PTTL' then return (found < 0) == (expected == '-1') end
  return string.format('%.0f', found) == expected
end

local function delete(key, kind, expiry, count)
  local found = redis.call('TYPE', key).ok
  if found == 'none' then return 0 end
  if kind ~= 'dump' and kind ~= found then return 2 end
  if not holds[kind](key, count) or not same_expiry(key, expiry) then return 2 end
  return redis.call('UNLINK', key)
end

local outcomes = {}
for i = 1, #KEYS do
  local kind, expiry, count = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  at = at + 3
  local ok, outcome = pcall(delete, KEYS[i], kind, expiry, count)
  if not ok then
    outcome = type(outcome) == 'table' and outcome.err or tostring(outcome)
    -- That is no key's error: the server is no primary any more, at which the client connects anew.
    if string.find(outcome, 'READONLY', 1, true) then
      return redis.error_reply('READONLY ' .. string.gsub(outcome, '^READONLY ', ''))
    end
  end
  outcomes[i] = outcome
  at = at + count
end
return outcomes
