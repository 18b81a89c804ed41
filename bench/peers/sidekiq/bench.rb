# A Sidekiq job that does nothing, and one that says that it ran.
require "sidekiq"

sock = ENV.fetch("REDIS_SOCK")
Sidekiq.configure_server { |c| c.redis = { path: sock } }
Sidekiq.configure_client { |c| c.redis = { path: sock } }

class Noop
  include Sidekiq::Worker

  def perform(*)
  end
end

class Echo
  include Sidekiq::Worker

  def perform(_payload)
    Sidekiq.redis { |c| c.lpush("bench:done", "1") }
  end
end
