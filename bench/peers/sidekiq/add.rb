# ruby add.rb one|bulk N: jobs per second. idle N: ms from push to the result
# that the job leaves in a list. due N SECONDS: prints when they fall due.
require_relative "bench"

PAYLOAD = { "to" => "someone@example.org", "subject" => "hello",
            "order" => 1234567, "text" => "x" * 28 }

def now
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

how, n, seconds = ARGV
n = n.to_i
start = now

case how
when "one"
  n.times { Noop.perform_async(PAYLOAD) }
when "bulk"
  (0...n).step(1000) do |i|
    Sidekiq::Client.push_bulk("class" => Noop,
                              "args" => Array.new([1000, n - i].min) { [PAYLOAD] })
  end
when "due"
  at = Time.now.to_f + seconds.to_i
  (0...n).step(1000) do |i|
    Sidekiq::Client.push_bulk("class" => Noop, "at" => at,
                              "args" => Array.new([1000, n - i].min) { [PAYLOAD] })
  end
  puts at
  exit
when "idle"
  n.times do
    sleep 0.005
    start = now
    Echo.perform_async(PAYLOAD)
    Sidekiq.redis { |c| c.brpop("bench:done") }
    puts (now - start) * 1000
  end
  exit
end

puts n / (now - start)
