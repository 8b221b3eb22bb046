-- Pluto's socket library.
--
-- A socket is a table around an integer. What yields in Pluto sleeps on a task here. Beyond Pluto, a
-- failure's nil is followed by a message and a code such as "ECONNREFUSED".

local taskio, SETTLED = ...
local task = require "task"
local await, resumed, yield = task.await, task.resumed, coroutine.yield
local startrecv, startsend = taskio.recv, taskio.send

-- As in Pluto a socket's methods are the library's functions: socket.recv(s) is s:recv().
local socket = {}
local Socket = { __index = socket, __name = "socket" }
local Listener = { __name = "listener" }
Listener.__index = Listener

local function newSocket(id, message, code)
  if not id then return nil, message, code end
  return setmetatable({ id = id }, Socket)
end

function socket.connect(host, port)
  return newSocket(await(taskio.connect(host, port)))
end

function socket.listen(port)
  local id, message, code = taskio.listen(port)
  if not id then return nil, message, code end
  return setmetatable({ id = id }, Listener)
end

-- Serves each client in a coroutine of its own, which closes the client's socket when it ends, also by an
-- error. Gives the listener; raises an error if there can be none.
function socket.bind(sched, port, callback)
  local l, message = socket.listen(port)
  if not l then error(message, 2) end
  sched:add(function()
    while not l.closed do
      local s = l:accept()
      if s then
        sched:add(function()
          local s <close> = s
          callback(s)
        end)
      elseif not l.closed then
        os.sleep(100) -- out of descriptors, perhaps
      end
    end
  end)
  return l
end

-- Sends a string. Waits only if more than 1 MiB has not gone out yet.
function socket:send(data)
  if type(data) ~= "string" then
    error("Cannot send a " .. type(data) .. ": data is a string", 2)
  end
  if self.closed then return end
  local sending = startsend(self.id, data)
  if sending and coroutine.isyieldable() then
    await(sending)
  end
end

local function chunk(data, ...)
  if data == "" then return nil end
  return data, ...
end

-- The oldest chunk; nil at the end of the stream.
function socket:recv()
  if self.closed then return nil end
  local id = startrecv(self.id)
  local mark, data, message, code = yield(id)
  if mark ~= SETTLED then
    return chunk(resumed(id, mark, data, message, code))
  elseif data == nil then
    return nil, message, code
  end
  return chunk(data)
end

-- What recv would give next, or nothing.
function socket:peek()
  if self.closed then return nil end
  return chunk(taskio.peek(self.id))
end

function socket:unrecv(data)
  if type(data) ~= "string" then
    error("Cannot unrecv a " .. type(data) .. ": data is a string", 2)
  end
  if not self.closed then
    taskio.unrecv(self.id, data)
  end
end

-- A client gives the name that the server's certificate must have, a server a list of certificates, each
-- with its `chain` and `private_key`. True; false if it failed, which closes the socket; nil if it was TLS.
function socket:starttls(how)
  if self.closed then return false end
  if taskio.istls(self.id) then return nil end
  local sending = taskio.sending(self.id)
  if sending then await(sending) end

  local done, message, code
  if type(how) == "table" then
    local pems = {}
    for _, certificate in ipairs(how) do
      table.insert(pems, certificate.chain)
      table.insert(pems, certificate.private_key)
    end
    done, message, code = await(taskio.starttls(self.id, "server", table.unpack(pems)))
  else
    done, message, code = await(taskio.starttls(self.id, "client", how))
  end
  if done then return true end
  self:close()
  return false, message, code
end

function socket:istls()
  return not self.closed and taskio.istls(self.id)
end

-- The far end's address and port.
function socket:getpeer()
  if self.closed then return table.unpack(self.peer) end
  return taskio.getpeer(self.id)
end

function socket:getside()
  return self.side or taskio.getside(self.id)
end

function socket:isopen()
  return not self.closed
end

-- Whoever waits for the socket is told. What was sent goes out all the same.
function socket:close()
  if self.closed then return end
  self.peer, self.side = { taskio.getpeer(self.id) }, taskio.getside(self.id)
  self.closed = true
  taskio.close(self.id)
end

-- A socket that nobody can reach any more is closed, and so is a `local s <close>`.
Socket.__gc = socket.close
Socket.__close = socket.close

-- The next client, or nil if the listener is closed.
function Listener:accept()
  if self.closed then return nil end
  return newSocket(await(taskio.accept(self.id)))
end

function Listener:hasconnection()
  return not self.closed and taskio.hasconnection(self.id)
end

-- The port, which tells what port 0 has become.
function Listener:getport()
  local _, port = taskio.getlocal(self.id)
  return port
end

function Listener:close()
  if self.closed then return end
  self.closed = true
  taskio.close(self.id)
end

Listener.__gc = Listener.close
Listener.__close = Listener.close

return socket
