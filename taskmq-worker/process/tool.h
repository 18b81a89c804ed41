/*
 * tool.h: children that run no tasks (a container runtime asked to list, to
 * remove or to kill): callbacks that give them no input and take no notice.
 */

#ifndef TW_TOOL_H
#define TW_TOOL_H

#include "child.h"

void tw_tool_started(tw_child_t *c, void *data);     /* ends its input */
void tw_tool_line(tw_child_t *c, void *data, tq_str_t line);
void tw_tool_long_line(tw_child_t *c, void *data, char first, size_t len);
void tw_tool_err(tw_child_t *c, void *data, const char *p, size_t len);
void tw_tool_closed(tw_child_t *c, void *data, const char *which);

/* Runs a program for its effect alone. 0 when it was started. */
int tw_tool_run(uv_loop_t *loop, char *const *argv, char *const *envp);

#endif /* TW_TOOL_H */
