/*
 * tq_version.h: the one version of the module, the worker and the CLI.
 */

#ifndef TQ_VERSION_H
#define TQ_VERSION_H

#define TQ_VERSION  "0.1.0"

#endif /* TQ_VERSION_H */
