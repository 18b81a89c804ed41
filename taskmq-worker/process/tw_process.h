/*
 * tw_process.h: handlers as processes: how one is started, spoken to, limited,
 * fenced and ended. The room's public header. Nothing here knows of jobs.
 *
 *   launch ──► spawn      a handler's kind becomes a command line, and that a
 *                         process (container, cgroup, fence, guard)
 *   child                 the process: its pipes, and the ladder that ends it
 *   proto                 a task as a line, a line as an answer
 */

#ifndef TW_PROCESS_H
#define TW_PROCESS_H

#include "cgroup.h"
#include "child.h"
#include "container.h"
#include "fence.h"
#include "guard.h"
#include "launch.h"
#include "library.h"
#include "proto.h"
#include "spawn.h"

#endif /* TW_PROCESS_H */
