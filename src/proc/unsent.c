/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * client-output-buffer-limit (proc/unsent.h).
 *
 * Run by workers, outside commands but for the watch: that is told by the buffer of replies, in the middle of a command, that it is about to
 * grow beyond what the client may ever have. It sets the flag by which command-timeout cancels a command: what it has written is undone, what it
 * holds is given back, and then the connection is closed. So no lock is held longer for a reply that nobody will get, and memory is not
 * taken for it. A command that cannot be cancelled ends as ever; its reply is then found to be too long. Private memory; death leaves nothing.
 */
#include "proc/unsent.h"

#include "base/config.h"
#include "base/log.h"
#include "base/stop.h"
#include "shm/control.h"

static bool overrun;
static struct session *watched; /* NULL: there is no limit */

static const struct client_limit *limit(void)
{
	return &config->client_output_buffer_limit[CLIENT_CLASS_NORMAL];
}

/* As Redis counts: lists of blocks of at least so many bytes, beside the free ones. */
static uint64_t weight(size_t n)
{
	if (n <= UNSENT_FREE)
		return 0;
	return n - UNSENT_FREE < UNSENT_FREE ? UNSENT_FREE : n - UNSENT_FREE;
}

static void too_long(size_t n)
{
	/* The limit may be another one than when the client was waited for; and what it does not want to hear does not count. */
	if (limit()->hard == 0 || weight(n) < limit()->hard || (watched->unheard & (UNHEARD_ALL | UNHEARD_THIS)))
		return;
	overrun = true;
	cancel_flag = 1;
	watched->close_after_flush = true; /* what else it has asked for is not done */
}

void unsent_follow_config(struct session *s)
{
	uint64_t hard = limit()->hard;
	/* Nothing is written here for a client without a limit: it would have a page for it. */
	if (hard == 0 && watched == NULL)
		return;
	watched = hard != 0 ? s : NULL;
	buf_watch(watched ? &s->out.out : NULL, hard < SIZE_MAX - UNSENT_FREE ? (size_t)hard + UNSENT_FREE : SIZE_MAX, too_long);
}

bool unsent_overrun(void)
{
	return overrun;
}

bool unsent_too_much(size_t n, int64_t now, int64_t *since)
{
	const struct client_limit *l = limit();
	uint64_t w = weight(n);
	if (w == 0 || l->soft == 0 || w < l->soft)
		*since = 0;
	else if (*since == 0)
		*since = now;
	if (w == 0)
		return false;
	if (l->hard != 0 && w >= l->hard)
		return true;
	return *since != 0 && now - *since > l->seconds * 1000;
}

void unsent_log(void)
{
	char addr[CONTROL_ADDR_MAX];
	client_addr_text(&my_page->client.peer, addr);
	log_warning("Client id=%llu addr=%s closed: it is over client-output-buffer-limit", (unsigned long long)my_page->client.id, addr);
}
