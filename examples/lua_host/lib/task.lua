-- Coroutines that sleep on integers.
--
-- A call of taskio that takes time gives a task, an integer. A coroutine that waits for one yields it, and
-- is put to sleep on it by whoever has resumed the coroutine: `step` the first time, then the host. When
-- the task comes out of the host's completion queue the host resumes the coroutine with SETTLED and what
-- the task came to. If the coroutine then does anything but sleep on a task again, the host calls `stepped`.
--
-- Every coroutine that is started here has a keeper, its scheduler, which is told what becomes of it:
--   keeper:ended(co, ok, err)   it has returned, or failed
--   keeper:passed(co)           it has yielded what is no number: its turn is over
--
-- A script may resume coroutines itself, as with Pluto. Then it is the script that gets the integer, and
-- `await` looks whether the task has settled each time that it is resumed.

local taskio, SETTLED = ...
local resume, yield, status = coroutine.resume, coroutine.yield, coroutine.status

local task = {}

-- The keepers of all coroutines that have not ended, which keeps those from the collector.
local keepers = {}

local polled

local function resumed(id, mark, ...)
  if mark == SETTLED then return ... end
  return polled(id, taskio.take(id))
end

function polled(id, settled, ...)
  if settled then return ... end
  return resumed(id, yield(id))
end

-- Waits for a task. Gives its result; or nil, a message and a code if it has faulted, or if a call has
-- given that in place of a task.
function task.await(id, ...)
  if id == nil then return nil, ... end
  return resumed(id, yield(id))
end

-- What `await` gives when it was resumed with these values: for the calls that cannot afford its detour.
task.resumed = resumed

-- Resumes a coroutine and sees what becomes of it.
function task.step(co, ...)
  return task.stepped(co, resume(co, ...))
end

-- A coroutine has yielded `what`, or has returned; or it has failed, and `what` is the error.
function task.stepped(co, ok, what)
  if status(co) == "dead" then
    local keeper = keepers[co]
    keepers[co] = nil
    return keeper:ended(co, ok, what)
  elseif type(what) ~= "number" then
    return keepers[co]:passed(co)
  elseif not taskio.sleep(co, what) then
    local message = what .. " is not a task of this script, or another coroutine waits for it"
    return task.step(co, SETTLED, nil, message, "EBADF")
  end
end

-- Runs a coroutine to its first wait.
function task.start(co, keeper)
  keepers[co] = keeper
  return task.step(co)
end

return task
