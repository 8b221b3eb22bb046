-- Waits for a client by polling. In Pluto's manual: the sample of hasconnection.

local socket = require "pluto:socket"

local port = tonumber(arg[1] or 80)
local l = socket.listen(port) or error("Failed to bind TCP/" .. port)
print("Listening on port " .. l:getport())
while not l:hasconnection() do -- Visit http://localhost to break this loop
  os.sleep(1)
end
print(l:accept():recv())
