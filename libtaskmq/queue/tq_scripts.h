/*
 * tq_scripts.h: the Redis scripts of lua/, as embed.sh puts them into the
 * library. Only tq_ops*.c use them: each script's arguments and reply are in
 * the opening comment of its file.
 */

#ifndef TQ_SCRIPTS_H
#define TQ_SCRIPTS_H

#include "tq_redis.h"

extern const tq_script_t  tq_script_change;
extern const tq_script_t  tq_script_claim;
extern const tq_script_t  tq_script_complete;
extern const tq_script_t  tq_script_config_set;
extern const tq_script_t  tq_script_create;
extern const tq_script_t  tq_script_due;
extern const tq_script_t  tq_script_enqueue;
extern const tq_script_t  tq_script_extend;
extern const tq_script_t  tq_script_fail;
extern const tq_script_t  tq_script_get;
extern const tq_script_t  tq_script_list;
extern const tq_script_t  tq_script_open;
extern const tq_script_t  tq_script_probe;
extern const tq_script_t  tq_script_reap;
extern const tq_script_t  tq_script_replay;
extern const tq_script_t  tq_script_stats;
extern const tq_script_t  tq_script_sweep;

/* Of redis-acl.example, as rights.sh puts it beside them: what each program and
 * its scripts use, each command after a space. */
extern const char  tq_rights_nginx[];
extern const char  tq_rights_worker[];
extern const char  tq_rights_cli[];

#endif /* TQ_SCRIPTS_H */
