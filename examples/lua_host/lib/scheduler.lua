-- Pluto's scheduler.
--
-- Pluto resumes every coroutine each round, to see whether it can go on. Here a coroutine goes on when the
-- task that it sleeps on has settled, whatever the main program waits for; only loops need rounds. An error
-- in one coroutine stops no other.

local taskio = ...
local task = require "task"

local scheduler = {}
scheduler.__index = scheduler
scheduler.__name = "scheduler"

function scheduler.new()
  return setmetatable({
    alive = 0,    -- coroutines that have not ended
    passing = {}, -- those that wait for the next round
    signals = {}, -- what every `run` sleeps on until something changes
  }, scheduler)
end

-- `new scheduler()` in Pluto
setmetatable(scheduler, { __call = scheduler.new })

-- Starts a function, or a coroutine, and runs it to its first wait.
function scheduler:add(co)
  if type(co) ~= "thread" then
    co = coroutine.create(co)
  end
  self.alive = self.alive + 1
  task.start(co, self)
  return co
end

-- Calls a function once a round until it returns exactly false.
function scheduler:addloop(fn)
  return self:add(function()
    while fn() ~= false do
      coroutine.yield()
    end
  end)
end

local function change(self)
  local signals = self.signals
  self.signals = {}
  for _, signal in ipairs(signals) do
    taskio.raise(signal)
  end
end

local function nextRound(self)
  if #self.passing > 0 then
    os.sleep(1)
  else
    local signal = taskio.signal()
    table.insert(self.signals, signal)
    task.await(signal)
  end
end

-- Goes round until every coroutine has ended. What happens between two rounds is `yieldfunc`'s, if set.
function scheduler:run()
  while self.alive > 0 do
    local passing = self.passing
    self.passing = {}
    for _, co in ipairs(passing) do
      task.step(co)
    end
    if self.alive == 0 then
      return
    elseif self.yieldfunc then
      self.yieldfunc()
      os.sleep(0) -- a yieldfunc that does not wait would let nothing happen
    else
      nextRound(self)
    end
  end
end

function scheduler:passed(co)
  table.insert(self.passing, co)
  change(self)
end

local function report(self, co, err)
  local text = debug.traceback(co, tostring(err))
  coroutine.close(co) -- what is `<close>` in it
  if self.errorfunc then
    local told, second = pcall(self.errorfunc, err)
    if told then return end
    text = text .. "\nin errorfunc: " .. tostring(second)
  end
  taskio.warn(text .. "\n")
end

function scheduler:ended(co, ok, err)
  self.alive = self.alive - 1
  if not ok then
    report(self, co, err)
  end
  change(self)
end

return scheduler
