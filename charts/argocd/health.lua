-- Health of a Bridge, Connector, Sink, Source or Rule for Argo CD, from what the operator says in its status.
--
-- Ready is the one summary of each kind. False is Degraded with the operator's reason and message, which say what is
-- wrong and how to fix it; Unknown is Progressing. A status about an older generation says nothing about this one.

local function health(status, message)
  return { status = status, message = message }
end

local function condition(type)
  local conditions = obj.status ~= nil and obj.status.conditions or {}
  for _, candidate in ipairs(conditions) do
    if candidate.type == type then
      return candidate
    end
  end
  return nil
end

local metadata = obj.metadata or {}
local spec = obj.spec or {}
local status = obj.status or {}

if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Being deleted")
end

-- The operator leaves a suspended Bridge alone, so its status may be old for as long as that lasts.
if spec.suspend == true then
  return health("Suspended", "Suspended: the operator leaves it alone")
end

-- -1 stands in a new object before the operator's first visit.
if status.observedGeneration == nil or status.observedGeneration ~= metadata.generation then
  return health("Progressing", "Waiting for the operator to look at this version")
end

local ready = condition("Ready")
if ready == nil then
  return health("Progressing", "Waiting for the operator to say whether it is ready")
end
if ready.observedGeneration ~= nil and ready.observedGeneration ~= metadata.generation then
  return health("Progressing", "Waiting for the operator to look at this version")
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
local message = (ready.reason or "Unknown") .. ": " .. (ready.message or "no message")
if ready.status == "False" then
  return health("Degraded", message)
end
return health("Progressing", message)
