-- For wrk: an id for each request, and an end. `-- SHARE`: how many requests each thread makes; after that
-- its connections stay open and silent, so that no request is under way when wrk is stopped.

local sizes = { 64, 64, 64, 64, 1024, 1024, 4096, 16384 }
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  share = tonumber(args[1])
  granted = 0
  made = 0
end

function delay()
  if granted >= share then
    return 3600 * 1000
  end
  granted = granted + 1
  return 0
end

function request()
  made = made + 1
  local id = "w" .. number .. "-" .. made
  local headers = { ["X-Request-Id"] = id }
  if made % 25 == 0 then
    return wrk.format("POST", "/store", headers, string.rep(id .. ".", made % 997))
  end
  return wrk.format("GET", "/" .. sizes[made % #sizes + 1], headers)
end
