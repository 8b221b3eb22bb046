-- Serves one page. In Pluto's manual: the sample of socket.bind.
--
--     deno run --allow-net --allow-read examples/lua_host/main.ts examples/lua_host/samples/hello.lua 8080

local scheduler, socket = require "scheduler", require "socket"

local sched = scheduler()
local l = socket.bind(sched, tonumber(arg[1] or 80), function(s)
  local content = "Hello, world!"
  s:send("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: " .. #content .. "\r\n\r\n" .. content)
end)
print("Listening on port " .. l:getport())
sched:run()
