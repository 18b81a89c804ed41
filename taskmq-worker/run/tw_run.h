/*
 * tw_run.h: jobs and the places where they run. The room's public header; what
 * an instance of a handler is made of is the room's own (instance.h).
 */

#ifndef TW_RUN_H
#define TW_RUN_H

#include "pool.h"
#include "run.h"
#include "slot.h"

#endif /* TW_RUN_H */
