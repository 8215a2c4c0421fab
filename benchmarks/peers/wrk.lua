-- Exact figures for the benchmark, without a cost per request: the function
-- runs once, at the end.
local sent = tonumber(os.getenv("BENCHMARK_SENT") or "0")
if sent > 0 then
  wrk.method = "POST"
  wrk.body = string.rep("x", sent)
end

function done(summary, latency, requests)
  local errors, peak = summary.errors, 0
  local status = io.open("/proc/self/status")
  if status then
    peak = tonumber(status:read("*a"):match("VmHWM:%s*(%d+)")) or 0
    status:close()
  end
  io.write(string.format(
    'FIGURES {"requests":%d,"microseconds":%d,"bytes":%d,"failed":%d,"peak_kib":%d,' ..
    '"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, peak,
    latency:percentile(50), latency:percentile(99)))
end
