-- Tells the ends of a connection. In Pluto's manual: the samples of socket.getpeer and socket.getside.

local sock = assert(require "socket".connect(arg[1] or "1.1.1.1", tonumber(arg[2] or 443)))
local ip, port = sock:getpeer()
print(ip) --> 1.1.1.1
print(port) --> 443
print(sock:getside()) --> client
