/* SPDX-License-Identifier: BSD-2-Clause */
/* The lock: exclusion, fairness towards the starving, deaths of owners and waiters. */
#include "store_fixture.h"

#include <signal.h>

#include "base/stop.h"
#include "shm/control.h"

/* Words both sides see: parts of a stripe that nothing else uses here. */
static struct shared {
	lock_word lock;
	_Atomic uint32_t go;
	_Atomic uint64_t inside, count, waited_ns;
} *shared;

static int count_up(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;
	for (unsigned i = 0; i < n; i++) {
		lock_take(&shared->lock, self_id);
		if (atomic_fetch_add(&shared->inside, 1) != 0 || lock_owner(&shared->lock) != self_id)
			return 1;
		/* Not atomic on purpose. */
		atomic_store_explicit(&shared->count, atomic_load_explicit(&shared->count, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		atomic_fetch_sub(&shared->inside, 1);
		lock_release(&shared->lock);
	}
	return 0;
}

static void test_exclusion(void)
{
	pid_t p[8];
	memset((void *)shared, 0, sizeof *shared);
	for (unsigned i = 0; i < 8; i++)
		p[i] = fork_as(i + 1, count_up, (void *)20000);
	for (unsigned i = 0; i < 8; i++)
		CHECK_INT(reap_child(p[i]), 0);
	CHECK_UINT(shared->count, 160000);
	CHECK_UINT(shared->lock & LOCK_OWNER, 0);
}

static void test_try(void)
{
	memset((void *)shared, 0, sizeof *shared);
	CHECK(lock_try(&shared->lock, 5));
	CHECK(!lock_try(&shared->lock, 6));
	CHECK_UINT(lock_owner(&shared->lock), 5);
	lock_release(&shared->lock);
	CHECK_UINT(shared->lock, 0);
}

static int take_and_wait(void *arg)
{
	(void)arg;
	lock_take(&shared->lock, self_id);
	atomic_store(&shared->go, 1);
	for (;;)
		pause();
	return 0;
}

static int take_timed(void *arg)
{
	(void)arg;
	int64_t t = clock_mono_ns();
	lock_take(&shared->lock, self_id);
	atomic_store(&shared->waited_ns, (uint64_t)(clock_mono_ns() - t));
	lock_release(&shared->lock);
	return 0;
}

static void test_owner_dies(void)
{
	memset((void *)shared, 0, sizeof *shared);
	pid_t owner = fork_as(1, take_and_wait, NULL);
	while (!shared->go)
		usleep(100);
	pid_t w[3];
	for (unsigned i = 0; i < 3; i++)
		w[i] = fork_as(2 + i, take_timed, NULL);
	usleep(30000);
	CHECK_UINT(lock_owner(&shared->lock), 1);
	lock_break(&shared->lock, 2); /* of somebody else: nothing happens */
	CHECK_UINT(lock_owner(&shared->lock), 1);
	kill(owner, SIGKILL);
	reap_child(owner);
	int64_t t = clock_mono_ns();
	lock_break(&shared->lock, 1);
	for (unsigned i = 0; i < 3; i++)
		CHECK_INT(reap_child(w[i]), 0);
	CHECK(clock_mono_ns() - t < 500000000);
	CHECK_UINT(lock_owner(&shared->lock), 0);
}

/* A waiter that starves gets the lock although others take it without a pause. */
static int hog(void *arg)
{
	(void)arg;
	while (!shared->go) {
		lock_take(&shared->lock, self_id);
		int64_t t = clock_mono_ns();
		while (clock_mono_ns() - t < 20000)
			;
		lock_release(&shared->lock);
	}
	return 0;
}

static void test_starving(void)
{
	memset((void *)shared, 0, sizeof *shared);
	pid_t p[3];
	for (unsigned i = 0; i < 3; i++)
		p[i] = fork_as(1 + i, hog, NULL);
	usleep(5000);
	for (unsigned n = 0; n < 20; n++) {
		pid_t w = fork_as(5, take_timed, NULL);
		CHECK_INT(reap_child(w), 0);
		CHECKF(shared->waited_ns < 2000000000, "waited %llu ns", (unsigned long long)shared->waited_ns);
	}
	shared->go = 1;
	for (unsigned i = 0; i < 3; i++)
		reap_child(p[i]);
}

/* A waiter that dies leaves its flags: others get the lock all the same, soon, and lock_break takes the starving flag back. */
static void test_waiter_dies(void)
{
	memset((void *)shared, 0, sizeof *shared);
	lock_take(&shared->lock, self_id);
	pid_t w = fork_as(2, take_timed, NULL);
	while (!(shared->lock & LOCK_STARVING))
		usleep(100);
	kill(w, SIGKILL);
	reap_child(w);
	lock_release(&shared->lock);
	CHECK_UINT(shared->lock, LOCK_STARVING);
	CHECK(!lock_try(&shared->lock, self_id));
	lock_break(&shared->lock, 2);
	CHECK_UINT(shared->lock, 0);
	CHECK(lock_try(&shared->lock, self_id));
	lock_release(&shared->lock);
	atomic_store(&shared->lock, LOCK_STARVING | LOCK_WAITERS);
	lock_break(&shared->lock, 2);
	CHECK_UINT(shared->lock, 0);
	/* Nobody breaks it: the next one queues for 10 ms and then takes it. */
	atomic_store(&shared->lock, LOCK_STARVING);
	CHECK_INT(reap_child(fork_as(3, take_timed, NULL)), 0);
	CHECKF(shared->waited_ns < 1000000000, "waited %llu ns", (unsigned long long)shared->waited_ns);
	CHECK_UINT(shared->lock & LOCK_OWNER, 0);
}

/* Waiters and owners die all the time; who lives gets on. */
static int contend(void *arg)
{
	(void)arg;
	for (;;) {
		lock_take(&shared->lock, self_id);
		atomic_fetch_add(&shared->count, 1);
		if (dice(50) == 0)
			usleep(200);
		lock_release(&shared->lock);
	}
	return 0;
}

static void test_deaths_all_over(void)
{
	memset((void *)shared, 0, sizeof *shared);
	pid_t p[4];
	for (unsigned i = 0; i < 4; i++)
		p[i] = fork_as(1 + i, contend, NULL);
	for (unsigned n = 0; n < 150; n++) {
		unsigned i = (unsigned)dice(4);
		uint64_t before = shared->count;
		usleep((unsigned)dice(3000));
		kill(p[i], SIGKILL);
		reap_child(p[i]);
		lock_break(&shared->lock, 1 + i);
		p[i] = fork_as(1 + i, contend, NULL);
		for (int t = 0; t < 10000 && shared->count < before + 10; t++)
			usleep(1000);
		REQUIRE(shared->count >= before + 10);
	}
	for (unsigned i = 0; i < 4; i++)
		kill(p[i], SIGKILL), reap_child(p[i]), lock_break(&shared->lock, 1 + i);
	CHECK_UINT(shared->lock, 0);
}

/* Stripes by transaction: the names in the slot lead the medic to the locks, few or all. */
static int hold_stripes(void *arg)
{
	static uint16_t s[200];
	uint32_t n = (uint32_t)(uintptr_t)arg;
	for (uint32_t i = 0; i < n && i < 200; i++)
		s[i] = (uint16_t)(i * 3);
	activity_enter();
	txn_begin(n == STRIPES ? NULL : s, n);
	for (uint32_t i = 0; i < n && i < 200; i++)
		txn_mark(n == STRIPES ? i : s[i]);
	raise(SIGKILL);
	return 0;
}

static void test_stripes_of_the_dead(void)
{
	uint32_t many[] = {0, 1, 2, 47, 48, 49, 200, STRIPES}, dead = 4;
	for (unsigned i = 0; i < sizeof many / sizeof many[0]; i++) {
		CHECK_INT(reap_child(fork_as(dead, hold_stripes, (void *)(uintptr_t)many[i])), 1000 + SIGKILL);
		uint32_t held = 0;
		for (uint32_t s = 0; s < STRIPES; s++)
			held += lock_owner(&store_stripe(s)->lock) == dead;
		CHECK_UINT(held, many[i]);
		recover_slots(&dead, 1);
		CHECK_FSCK();
		do_set(0, "k", "v");
	}
}

/* A command that is cancelled leaves the queue as if it had died there, and a transaction gives back what it had taken. */
static void test_cancelled(void)
{
	static const uint16_t three[] = {5, 6, 7};
	memset((void *)shared, 0, sizeof *shared);
	lock_take(&shared->lock, 3);
	cancel_flag = 1;
	CHECK(!lock_take_unless_cancelled(&shared->lock, 1));
	CHECK_UINT(shared->lock & ~LOCK_WAITERS, 3);
	lock_release(&shared->lock);
	CHECK(lock_take_unless_cancelled(&shared->lock, 1)); /* what is free needs no waiting */
	lock_release(&shared->lock);

	lock_take(&store_stripe(7)->lock, 3);
	activity_enter();
	CHECK(!txn_begin(three, 3));
	CHECK(!txn_begin(NULL, STRIPES));
	CHECK(!stripe_lock(7));
	activity_leave();
	for (uint32_t s = 0; s < STRIPES; s++)
		if (s != 7)
			CHECK_UINT(store_stripe(s)->lock, 0);
	lock_break(&store_stripe(7)->lock, 3);
	cancel_flag = 0;
	CHECK_FSCK();
	do_set(0, "k", "v");
}

/* With starving waiters beside it: they get on. */
static int wait_and_leave(void *arg)
{
	(void)arg;
	lock_take(&shared->lock, self_id);
	lock_release(&shared->lock);
	return 0;
}

static void on_alarm(int sig)
{
	(void)sig;
	cancel_flag = 1;
}

static void test_cancelled_while_starving(void)
{
	memset((void *)shared, 0, sizeof *shared);
	lock_take(&shared->lock, 3);
	pid_t p = fork_as(2, wait_and_leave, NULL);
	signal(SIGALRM, on_alarm);
	ualarm(30000, 0);
	CHECK(!lock_take_unless_cancelled(&shared->lock, 1));
	cancel_flag = 0;
	CHECK_UINT(lock_owner(&shared->lock), 3);
	lock_release(&shared->lock);
	CHECK_INT(reap_child(p), 0);
	CHECK_UINT(lock_owner(&shared->lock), 0);
}

int main(void)
{
	fixture_open(2);
	do_set(0, "k", "v");
	shared = (struct shared *)store_heap(0)->reserved2;
	_Static_assert(sizeof *shared <= sizeof store_heap(0)->reserved2, "fits");
	RUN(test_try);
	RUN(test_exclusion);
	RUN(test_owner_dies);
	RUN(test_starving);
	RUN(test_waiter_dies);
	RUN(test_deaths_all_over);
	RUN(test_stripes_of_the_dead);
	RUN(test_cancelled);
	RUN(test_cancelled_while_starving);
	return test_done();
}
