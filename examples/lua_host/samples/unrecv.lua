-- Puts chunks back. In Pluto's manual: the sample of socket.unrecv.

local socket = require "pluto:socket"

local sock = assert(socket.connect(arg[1] or "google.com", tonumber(arg[2] or 80)))
sock:unrecv("World")
sock:unrecv("Hello")
print(sock:recv()) --> Hello
print(sock:recv()) --> World
