-- Echoes, any number of clients at once, for ever.

local scheduler, socket = require "scheduler", require "socket"

local sched = scheduler()
local l = socket.bind(sched, tonumber(arg[1] or 7777), function(s)
  for data in s.recv, s do
    s:send(data)
  end
end)
print("Listening on port " .. l:getport())
sched:run()
