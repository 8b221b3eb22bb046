-- Serves one page over TLS, with a certificate that it fetches first. In Pluto's manual: the server example
-- of socket.starttls.

local scheduler, socket, http = require "scheduler", require "socket", require "http"

local certs = {
  {
    chain = http.request(arg[2] or "https://tls.cat/certs/viatls-2024/cert.pem"),
    private_key = http.request(arg[3] or "https://tls.cat/certs/viatls-2024/key.pem"),
  },
}

local sched = scheduler()
local l = socket.bind(sched, tonumber(arg[1] or 443), function(s)
  if s:starttls(certs) then
    local content = "Hello, world!"
    s:send("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: " .. #content .. "\r\n\r\n" .. content)
  end
end)
print("Listening on port " .. l:getport())
sched:run()
