/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The channel to the supervisor: how a process asks for what it may not do itself.
 *
 * One datagram socket pair inherited by every child. A request is one datagram: a head (kind, slot), a text, and one end of a
 * fresh socket pair on which the answer comes back. The kernel vouches for the sender's pid (SCM_CREDENTIALS), and the
 * supervisor checks it against its own table before it believes the slot.
 *
 * Death: a caller that dies leaves an answer nobody reads; a supervisor that dies takes its children with it.
 */
#ifndef BULKHEAD_SHM_CHANNEL_H
#define BULKHEAD_SHM_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shm/control.h"

enum request {
	REQUEST_AUTH,        /* "user\0password": "+OK" with the store's descriptor attached, or "WRONGPASS ..." */
	REQUEST_CONFIG_SET,  /* "name\0value\0name\0value...": all or nothing; each is followed by \0, the last one too */
	REQUEST_CONFIG_GET_SECRET, /* "requirepass": "+" and its value, to a caller that is authenticated */
	REQUEST_CONFIG_RESETSTAT,  /* no text */
	REQUEST_CONFIG_REWRITE,    /* no text, or "all": defaults are written as well */
	REQUEST_SHUTDOWN,    /* options as given, separated by \0; no answer when it succeeds */
	REQUEST_REAP,        /* no text: "+OK" once the pages show nobody who is dead, or sure to die */
	REQUEST_KILL,        /* an array of struct kill_victim: "+" and how many of them were not being killed yet, once all are gone */
	REQUEST_LOG,         /* no text: "+OK" with the log's descriptor attached */
	REQUEST_PAUSE,       /* a struct pause_wish: "+OK" once every process can see it */
	REQUEST_UNPAUSE,     /* no text: "+OK", and who waited is being woken */
	REQUEST_LOAD,        /* "hold", "release", or what loads_serve says: data is loaded beside the service */
	REQUEST_SAVE,        /* "save", "bgsave", "bgsave schedule", "flushall": the first and the last are answered when it is done */
	REQUEST_AOF,         /* a struct aof_news of the AOF writer: "+OK" */
	REQUEST_REWRITE_AOF, /* no text: what BGREWRITEAOF answers */
	REQUEST_WAITING,     /* a slot number (uint32_t): what it holds is waited for. No answer */
};

/* A process that a client wants killed: a worker, if the supervisor's table says the same. */
struct kill_victim {
	uint32_t slot;
	int32_t pid;
};
#define KILL_VICTIMS_MAX (CHANNEL_TEXT_MAX / sizeof(struct kill_victim)) /* of one request */

#define CHANNEL_TEXT_MAX 60000u

/*
 * Asks and waits for the answer (no time limit but the supervisor's life). `answer` receives at most `cap` bytes of text, its
 * length is returned; the text starts with '+' for success or is a complete error ("ERR ..."). `fd_out` may be NULL, else it
 * receives the descriptor that came along, or -1. No lock, pin or transaction may be held. -1: the supervisor is gone, or
 * is taking this process down. The supervisor's time is not the command's: it is not cancelled any more (base/deadline.h).
 */
long channel_call(enum request what, const char *text, size_t n, char *answer, size_t cap, int *fd_out);

/* Tells the supervisor, without waiting, that this process has been waiting for a lock of `slot` for long. Any locks may be held. */
void channel_tell_waiting(uint32_t slot);

/*
 * Goes on with the log that the supervisor has opened anew, if it has; else costs two loads. Not while a lock, a pin or a transaction
 * is held.
 */
void channel_follow_log(void);

/* Tells the supervisor without waiting that a client came. Before descriptors_drop_listening. */
void channel_notify(const struct client_addr *peer);

/* ---- for the supervisor ---- */

/* Makes the channel. Returns nothing: fatal on failure. Supervisor only, once, before any fork. */
void channel_create(void);

/* The log was opened anew: who calls channel_follow_log from now on asks for it, but for children forked from now on. */
void channel_log_reopened(void);

/* Descriptors that become readable when a request, or a notice, has come. */
int channel_request_fd(void);
int channel_notice_fd(void);

/*
 * What channel_notify said. To be believed: only a spare worker can say anything, and it closes the descriptor before
 * it reads from its client.
 */
struct channel_notice {
	uint32_t slot;
	int32_t pid;
	struct client_addr peer;
};

/* Takes the next notice; false: there is none. */
bool channel_take_notice(struct channel_notice *out);

struct channel_request {
	enum request what;
	uint32_t slot;  /* as claimed by the sender */
	int32_t pid;    /* as vouched for by the kernel */
	int reply_fd;   /* the supervisor's to close; -1 with REQUEST_WAITING */
	size_t n;
	char *text;     /* n bytes and a NUL, valid until the next call; in memory that children do not see */
};

/* Takes the next request; false: none is there, or enough for now. What is malformed is dropped. */
bool channel_take(struct channel_request *out);

/* Answers with text and a descriptor (or -1), and closes reply_fd. Never waits. */
void channel_answer(struct channel_request *r, const char *text, size_t n, int fd);

#endif
