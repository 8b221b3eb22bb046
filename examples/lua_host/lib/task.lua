-- Coroutines that sleep on integers.
--
-- A call of taskio that takes time gives a task, an integer. A coroutine that waits for one yields it. Who
-- resumed the coroutine was `step`, which notes it under the integer and has the host watch the task. When
-- the task comes out of the host's completion queue the host calls `wake`, and the coroutine goes on with
-- what the task came to.
--
-- Every coroutine that is stepped here has a keeper, its scheduler, which is told what becomes of it:
--   keeper:ended(co, ok, err)   it has returned, or failed
--   keeper:passed(co)           it has yielded what is no integer: its turn is over
--
-- A script may resume coroutines itself, as with Pluto. Then it is the script that gets the integer, and
-- `await` looks whether the task has settled each time that it is resumed.

local taskio = ...
local resume, yield, status = coroutine.resume, coroutine.yield, coroutine.status
local mathtype = math.type

local task = {}

-- The coroutines that sleep, by task.
local sleeping = {}
local keepers = setmetatable({}, { __mode = "k" })

-- What a coroutine is resumed with when its task has settled; nobody else has it.
local SETTLED = {}

-- Waits for a task. Gives its result; or nil, a message and a code if it has faulted.
function task.await(id)
  local mark, value, message, code = yield(id)
  while mark ~= SETTLED do
    local settled
    settled, value, message, code = taskio.take(id)
    if settled then break end
    mark, value, message, code = yield(id)
  end
  return value, message, code
end

local step

-- Puts a coroutine to sleep on a task. If it cannot, it is told so at once.
local function sleep(co, id)
  if sleeping[id] then
    return step(co, SETTLED, nil, "task " .. id .. " is waited for by another coroutine", "EBUSY")
  end
  if not taskio.watch(id) then
    return step(co, SETTLED, nil, id .. " is not a task of this script", "EBADF")
  end
  sleeping[id] = co
end

local function stepped(co, ok, what)
  if status(co) == "dead" then
    return keepers[co]:ended(co, ok, what)
  elseif mathtype(what) == "integer" then
    return sleep(co, what)
  else
    return keepers[co]:passed(co)
  end
end

-- Resumes a coroutine and sees what becomes of it.
function step(co, ...)
  return stepped(co, resume(co, ...))
end

task.step = step
task.sleep = sleep

-- Runs a coroutine to its first wait.
function task.start(co, keeper)
  keepers[co] = keeper
  return step(co)
end

-- Called by the host with a task that has settled, and what it came to.
function task.wake(id, ...)
  local co = sleeping[id]
  sleeping[id] = nil
  if status(co) == "suspended" then
    return step(co, SETTLED, ...)
  end
  keepers[co]:ended(co, true) -- the script has closed it
end

return task
