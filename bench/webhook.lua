-- Each request carries one alert with labels nobody has sent before, so that each needs its own commit.
local threads = 0
function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

local template = '{"receiver":"autoheal","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"%s",'
  .. '"instance":"c%d-%d-%d","job":"node","severity":"critical"},"annotations":{"description":"web-1:9100 of job node has been '
  .. 'down for more than 1 minute.","summary":"Instance web-1:9100 down"},"startsAt":"2026-11-22T07:01:07.304Z",'
  .. '"endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prom.example.org:9090/graph?g0.expr=up+%%3D%%3D+0\\u0026g0.tab=1",'
  .. '"fingerprint":"f2b2bc83eeb9cc40"}],"groupLabels":{"alertname":"%s"},"commonLabels":{"alertname":"%s",'
  .. '"job":"node","severity":"critical"},"commonAnnotations":{"summary":"Instance web-1:9100 down"},'
  .. '"externalURL":"http://am.example.org:9093","version":"4","groupKey":"{}:{alertname=\\"%s\\"}","truncatedAlerts":0}\n'

local name = os.getenv("ALERTNAME") or "BenchDown"
local run = os.time()
local sent = 0
local headers = { ["Content-Type"] = "application/json" }

function request()
  sent = sent + 1
  local body = string.format(template, name, run, thread_number, sent, name, name, name)
  return wrk.format("POST", "/alerts", headers, body)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %.0f %d %.2f %.2f\n", summary.requests, summary.requests / (summary.duration / 1e6),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
