-- As much of Pluto's http library as its socket samples use: http.request(url) gives the body.

local socket = require "socket"

local http = {}

local function open(scheme, host, port)
  local s, message = socket.connect(host, port)
  if not s then return nil, message end
  if scheme == "https" then
    local done
    done, message = s:starttls(host)
    if not done then return nil, message end
  end
  return s
end

-- The body, the status and the head; or nil and a message.
function http.request(url)
  local scheme, host, port, path = url:match "^(https?)://([^/:]+):?(%d*)(.*)$"
  if not scheme then error("Cannot request '" .. url .. "': it is no URL", 2) end
  port = tonumber(port) or (scheme == "https" and 443 or 80)
  local s <close>, message = open(scheme, host, port)
  if not s then return nil, message end
  s:send(
    "GET " .. (path == "" and "/" or path) .. " HTTP/1.0\r\nHost: " .. host .. "\r\n\r\n"
  )
  local chunks = {}
  for chunk in s.recv, s do
    table.insert(chunks, chunk)
  end
  local head, body = table.concat(chunks):match "^(.-)\r\n\r\n(.*)$"
  local status = head and head:match "^HTTP/%S+ (%d+)"
  if not status then return nil, "request " .. url .. ": the answer is no HTTP" end
  return body, tonumber(status), head
end

return http
