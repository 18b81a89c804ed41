"""The job as a handler sees it."""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Optional


class JobStatus(enum.Enum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass
class Job:
    """id, payload, handler, priority and retries are always set while a
    handler runs. The rest is what is known: the worker sends no more, and
    get_backend().get_job(id) asks the API for all of it."""

    id: int
    status: JobStatus = JobStatus.PENDING
    payload: Any = None
    created_at: Optional[datetime] = None
    retries: int = 0
    error_log: Optional[str] = None
    retry_policy: Optional[str] = None
    scheduled_for: Optional[datetime] = None
    interval_seconds: Optional[int] = None
    handler: Optional[str] = None
    result: Any = None
    priority: int = 0
