-- Makes the libraries known to `require`, puts what belongs to the host in the place of Lua's own, and runs
-- the script as a coroutine, so that it can wait like any other. Gives the host what it is to call
-- when a coroutine that it has resumed does not sleep on a task.

local taskio, SETTLED, lib, source, name = ...

arg = { [0] = name, select(6, ...) }

package.preload["taskio"] = function() return taskio end
for _, module in ipairs { "task", "scheduler", "socket", "http" } do
  local function open()
    return assert(load(lib[module], "@lib/" .. module .. ".lua"))(taskio, SETTLED)
  end
  package.preload[module] = open
  package.preload["pluto:" .. module] = function() return require(module) end
end
-- `local { scheduler, socket } = require "*"` in Pluto
package.preload["*"] = function()
  return setmetatable({}, { __index = function(_, module) return require(module) end })
end

local task = require "task"

-- In milliseconds, as in Pluto
function os.sleep(ms)
  task.await(taskio.after(ms))
end

function os.exit(code)
  taskio.exit(code == nil and 0 or code == true and 0 or code == false and 1 or code)
end

-- Emscripten prints whole lines of UTF-8; the host writes bytes
local file = getmetatable(io.stdout).__index
local filewrite = file.write
function file.write(self, ...)
  local write = self == io.stdout and taskio.write or self == io.stderr and taskio.warn
  if not write then return filewrite(self, ...) end
  write(table.concat { ... })
  return self
end
function io.write(...)
  return io.output():write(...)
end
function print(...)
  local texts = table.pack(...)
  for i = 1, texts.n do
    texts[i] = tostring(texts[i])
  end
  taskio.write(table.concat(texts, "\t") .. "\n")
end

local main = {}

function main:ended(co, ok, err)
  if ok then return taskio.ended() end
  local text = debug.traceback(co, tostring(err))
  coroutine.close(co)
  taskio.ended(text)
end

function main:passed(co)
  task.stepped(co, true, taskio.after(1)) -- its next turn
end

local text = source:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", "")
local chunk, message = load(text, "@" .. name, "t")
if chunk then
  task.start(coroutine.create(chunk), main)
else
  taskio.ended(message)
end

return task.stepped
