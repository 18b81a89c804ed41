/*
 * notify.h: what systemd wants to hear (Type=notify, WatchdogSec=), by its
 * datagram protocol. Without NOTIFY_SOCKET nothing is sent.
 */

#ifndef TW_NOTIFY_H
#define TW_NOTIFY_H

#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and removes them from
 * the environment. */
void tw_notify_init(void);

void tw_notify_ready(void);
void tw_notify_reloading(void);
void tw_notify_stopping(void);
void tw_notify_status(const char *text);
void tw_notify_watchdog(void);

/* How often tw_notify_watchdog() must be called; 0: not wanted. */
int64_t tw_notify_watchdog_ms(void);

void tw_notify_close(void);

#endif /* TW_NOTIFY_H */
