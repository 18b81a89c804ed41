"""Where handlers register themselves: taskmq.jobs.handlers."""
