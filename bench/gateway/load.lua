-- What wrk asks for: each line of the file in REQUESTS is a path, or a path, a first and a last byte. All of them over and over.
-- At the end one line: seconds, bytes, answers, errors.
local requests = {}
local at = 0

function init()
  for line in io.lines(os.getenv("REQUESTS")) do
    local path, first, last = line:match("^(%S+) (%d+) (%d+)$")
    if first then
      requests[#requests + 1] = wrk.format("GET", path, { Host = wrk.host, Range = "bytes=" .. first .. "-" .. last })
    else
      requests[#requests + 1] = wrk.format("GET", line, { Host = wrk.host })
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  print(string.format("LOAD %.6f %d %d %d", summary.duration / 1e6, summary.bytes, summary.requests, failed))
end
