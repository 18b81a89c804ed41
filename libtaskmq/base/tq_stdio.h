/*
 * tq_stdio.h: the three descriptors that every program of ours starts with.
 * For main() of the command line tool and the worker, not for the module.
 */

#ifndef TQ_STDIO_H
#define TQ_STDIO_H

/*
 * Opens what the caller closed of 0, 1 and 2, so that no socket or file of
 * ours takes the place: what we print would go to Redis as commands. Reading 0
 * then ends at once, writing to 1 fails, what is written to 2 is lost. Call it
 * first. 0, or -1: a descriptor cannot be opened, the program must end.
 */
int tq_stdio_open(void);

/*
 * Writes out and closes stdout. 0, or -1: something that was printed is lost,
 * now or earlier; errno says why, or is 0. Call it last.
 */
int tq_stdio_end(void);

#endif /* TQ_STDIO_H */
