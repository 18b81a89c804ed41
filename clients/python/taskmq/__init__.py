"""Runs TaskMQ handler modules under taskmq-worker. See README.md."""
