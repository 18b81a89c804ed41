/*
 * tw_config.h: what the worker is told: handlers.toml, and the command line
 * with the environment. The room's public header.
 */

#ifndef TW_CONFIG_ROOM_H
#define TW_CONFIG_ROOM_H

#include "config.h"
#include "options.h"

#endif /* TW_CONFIG_ROOM_H */
