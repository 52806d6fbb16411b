-- For wrk: `-- MILLISECONDS` between an answer and the next request of a connection.

function init(args)
  pause = tonumber(args[1])
end

function delay()
  return pause
end
