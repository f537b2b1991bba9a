-- Forgets the deaths of a transfer that is resumed, for who resumes it has seen to what killed them. What was set aside stays so.
--
-- KEYS transfer, grains, parts.

local forgotten = 0
for i, kinds in ipairs({'bk', 'kxyz', 'kba'}) do
  for _, field in ipairs(redis.call('HKEYS', KEYS[i])) do
    if string.match(field, '^[' .. kinds .. ']:') then forgotten = forgotten + redis.call('HDEL', KEYS[i], field) end
  end
end
return forgotten
