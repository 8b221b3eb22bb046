-- Fetches a page and prints its first chunk. In Pluto's manual: the sample of socket.recv.

local socket = require "pluto:socket"

local host, port = arg[1] or "google.com", tonumber(arg[2] or 80)
local s = assert(socket.connect(host, port))
s:send("GET / HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n")
print(s:recv())
