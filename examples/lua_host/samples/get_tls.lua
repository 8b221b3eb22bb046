-- Fetches a page over TLS. In Pluto's manual: the client example of socket.starttls.

local socket = require "pluto:socket"

local host, port, name = arg[1] or "pluto-lang.org", tonumber(arg[2] or 443), arg[3] or "pluto-lang.org"
local s = assert(socket.connect(host, port))
assert(s:starttls(name), "Failed to establish secure connection.")
s:send("GET / HTTP/1.1\r\nHost: " .. name .. "\r\nConnection: close\r\n\r\n")
for data in s.recv, s do
  print(data)
end
