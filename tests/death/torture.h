/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pieces of torture (torture.c says what it does).
 *
 * One process controls; it forks a process per client, and one that watches how late the machine itself is. They share a struct torture,
 * made before the forks: each client writes its own tally, the controller the rest.
 */
#ifndef TESTS_DEATH_TORTURE_H
#define TESTS_DEATH_TORTURE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENTS_MAX 64
#define COUNTERS 4 /* that all clients increment */
/* Whose sum is constant. So many that a server spends much of its time between the first and the last change of an MSET. */
#define ACCOUNTS 200
#define ACCOUNTS_SUM 100000000
#define HARMS 65536 /* remembered; a power of two */
#define STALLS 4096

/* Durations: 10 us each up to 100 ms, then 10 ms each. */
#define FINE 10000
#define COARSE 10000
struct durations {
	uint64_t n, max_ns;
	uint32_t bucket[FINE + COARSE];
};

/* What was done to a process of the server, noted before it is done. */
struct harm {
	_Atomic int32_t pid;
	bool stop;              /* else it was killed */
	int64_t at;             /* ns of the monotonic clock, as all times here */
	_Atomic int64_t until;  /* of a stop: when it goes on or is killed; 0: not yet */
};

struct tally {
	struct durations ops, recoveries;
	uint64_t breaks, refused;
	uint64_t acknowledged[COUNTERS], ambiguous[COUNTERS];
	uint64_t excused; /* slow because this client's own worker was stopped, or no processor was free, or the machine stood still */
	uint64_t violations;
	char first[300];
	bool finished;
};

struct torture {
	_Atomic int stop; /* 1: clients check what is theirs and end */
	_Atomic uint64_t nharms;
	struct harm harms[HARMS];
	_Atomic uint64_t nstalls;
	struct {
		int64_t from, to;
	} stalls[STALLS];
	struct tally tally[CLIENTS_MAX];
};

extern struct torture *torture;

struct options {
	int port, clients;
	const char *server; /* started here; NULL: the one on `port` */
	char **server_args; /* more of them, NULL at the end */
	uint64_t kills, supervisor;
	double rate, seconds;
	int limit_ms, lock_timeout_ms;
	bool stop, for_ever;
	unsigned seed;
};
extern struct options options;
#define COMMAND_MAX 8192 /* bytes of a formatted one */

/* ---- wire.c: one connection of this process ---- */

struct element {
	long n; /* bytes, -1: null; or the number of ':' */
	char *data; /* NULL: it is a number */
};
struct reply {
	char type; /* + - : $ * */
	long n;    /* the number of ':', the length of '$' (-1: null), the elements of '*' */
	char *data;
	struct element at[ACCOUNTS];
};

int64_t now_ns(void);

/* A word of the next command; send_words() sends it and waits for the reply. False: the connection is gone (or never was there). */
void word(const void *data, size_t n);
bool send_words(struct reply *r);

/* The same for a command whose words are separated by single spaces. */
__attribute__((format(printf, 2, 3))) bool ask(struct reply *r, const char *format, ...);

/* Commands as lines of text, all sent at once; *r is the last of their replies, and *errors counts those that are errors. */
bool send_lines(const char *lines, size_t n, unsigned commands, struct reply *r, unsigned *errors);

/* One attempt, from an address of its own: a server that refuses addresses whose workers crash shall not refuse us. */
bool wire_connect(int port);
void wire_close(void);
bool wire_timed_out(void); /* the reply did not come within HANG_S */
#define HANG_S 20

/* ---- client.c ---- */

/* Runs until torture->stop, then checks what is its own. Never returns. */
_Noreturn void client_run(unsigned number);

/* Makes what the clients expect to be there. */
bool client_prepare(void);

/* What holds for what they shared, when all are through. Reports through `violation`. */
void client_check_shared(void);

__attribute__((format(printf, 1, 2))) void violation(const char *format, ...);
extern struct tally *mine;

/* ---- harm.c: kills and stops ---- */

extern pid_t supervisor;

/* Kills a random process of the server. */
void harm_kill(void);
/* Stops a random worker, for a while or for ever; harm_continue ends what is due (all: everything). */
void harm_stop(void);
void harm_continue(bool all);
void harm_print(void);
extern uint64_t harm_kills, harm_stops;
extern struct durations healed; /* from a kill until the process is reaped and no medic is at work */

/* The last harm done to a process since `since`; NULL: none. */
const struct harm *harm_of(pid_t pid, int64_t since);

void watch_machine(void); /* never returns */
int64_t machine_stood_still(int64_t from, int64_t to);

void durations_add(struct durations *d, int64_t ns);
void durations_sum(struct durations *to, const struct durations *from);
double durations_ms(const struct durations *d, double share);

unsigned draw(unsigned below);

#endif
